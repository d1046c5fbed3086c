// The process's one ONNX Runtime: the very library that onnxruntime-node has loaded or will load, so that both share
// it.
#pragma once

#include <memory>
#include <stdexcept>
#include <string>

#include "c_api.h"

namespace ort {

// What the runtime said of a call that failed, or this addon of its own.
class Error : public std::runtime_error {
 public:
  explicit Error(const std::string& message, ErrorCode code = kFail) : std::runtime_error(message), code_(code) {}

  ErrorCode code() const { return code_; }

 private:
  ErrorCode code_;
};

// The name of a code in ONNX Runtime's C interface without its `ORT_`, such as "INVALID_ARGUMENT".
const char* nameOf(ErrorCode);

// Takes the ONNX Runtime that the process has loaded already, of whatever version, or loads the library at `path`, and
// asks it for its functions; only the first call does anything.
// Throws Error if the library cannot be loaded or is older than kApiVersion.
void load(const std::string& path);

// The library's version, such as "1.30.0". load() must have succeeded.
const char* version();

// The function table. load() must have succeeded.
const Api& api();

// The process's environment; made by whoever comes first, and never released: sessions, and buffers that
// JavaScript still holds, may outlive everything else.
Env* environment();

// Whether sessions may take their memory from the pool: false if the process has registered another allocator.
bool poolIsRegistered();

// Throws Error with the runtime's message and code if `status` is an error, and frees it.
void check(Status* status);

// Frees what the runtime made.
template <typename T, void (*Api::*Release)(T*)>
struct Releaser {
  void operator()(T* object) const { (api().*Release)(object); }
};
template <typename T, void (*Api::*Release)(T*)>
using Owned = std::unique_ptr<T, Releaser<T, Release>>;

using OwnedMemoryInfo = Owned<MemoryInfo, &Api::ReleaseMemoryInfo>;
using OwnedRunOptions = Owned<RunOptions, &Api::ReleaseRunOptions>;
using OwnedSession = Owned<Session, &Api::ReleaseSession>;
using OwnedSessionOptions = Owned<SessionOptions, &Api::ReleaseSessionOptions>;
using OwnedTensorInfo = Owned<TensorTypeAndShapeInfo, &Api::ReleaseTensorTypeAndShapeInfo>;
using OwnedTypeInfo = Owned<TypeInfo, &Api::ReleaseTypeInfo>;
using OwnedValue = Owned<Value, &Api::ReleaseValue>;

}  // namespace ort
