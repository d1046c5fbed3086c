// The process's one ONNX Runtime: the very library that onnxruntime-node ships, so that both share it.
#pragma once

#include <memory>
#include <stdexcept>
#include <string>

#include "c_api.h"

namespace ort {

// What the runtime said of a call that failed.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// Loads the library at `path` and asks it for its functions; only the first call does anything.
// Throws Error if the library cannot be loaded or is older than kApiVersion.
void load(const std::string& path);

// The library's version, such as "1.30.0". load() must have succeeded.
const char* version();

// The function table. load() must have succeeded.
const Api& api();

// The process's environment; made by whoever comes first, and never released: sessions, and buffers that
// JavaScript still holds, may outlive everything else.
Env* environment();

// Throws Error with the runtime's message if `status` is one.
void check(Status* status);

// Frees what the runtime made.
template <typename T, void(ORT_CALL* Api::*Release)(T*)>
struct Releaser {
  void operator()(T* object) const { (api().*Release)(object); }
};
template <typename T, void(ORT_CALL* Api::*Release)(T*)>
using Owned = std::unique_ptr<T, Releaser<T, Release>>;

using OwnedMemoryInfo = Owned<MemoryInfo, &Api::ReleaseMemoryInfo>;
using OwnedRunOptions = Owned<RunOptions, &Api::ReleaseRunOptions>;
using OwnedSession = Owned<Session, &Api::ReleaseSession>;
using OwnedSessionOptions = Owned<SessionOptions, &Api::ReleaseSessionOptions>;
using OwnedTensorInfo = Owned<TensorTypeAndShapeInfo, &Api::ReleaseTensorTypeAndShapeInfo>;
using OwnedTypeInfo = Owned<TypeInfo, &Api::ReleaseTypeInfo>;
using OwnedValue = Owned<Value, &Api::ReleaseValue>;

}  // namespace ort
