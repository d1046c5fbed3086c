#include "library.h"

#include <iterator>
#include <mutex>

#include "platform.h"
#include "pool_allocator.h"

namespace ort {
namespace {

using GetApiBase = const ApiBase* (*)();

struct Library {
  const Api* api = nullptr;
  const char* version = "";
  Env* environment = nullptr;
  bool hasPool = false;
};

Library library;
std::mutex loading;

// The dynamic loader gives a process one library of a name such as libonnxruntime.so.1: each onnxruntime-node asks for
// that name, and gets the library of the version that came first, or none. So this addon takes the loaded library, too.
Library open(const std::string& path) {
  const auto getApiBase = reinterpret_cast<GetApiBase>(symbolOf(openLibrary(path), "OrtGetApiBase"));
  if (!getApiBase) throw Error(path + " is not an ONNX Runtime: it has no OrtGetApiBase");
  Library opened;
  opened.version = getApiBase()->GetVersionString();
  opened.api = getApiBase()->GetApi(kApiVersion);
  if (!opened.api) {
    throw Error("ONNX Runtime " + std::string(opened.version) + " is too old: 1." + std::to_string(kApiVersion) +
                " or later is needed");
  }
  return opened;
}

Error takeError(const Api& api, Status* status) {
  Error error(api.GetErrorMessage(status), api.GetErrorCode(status));
  api.ReleaseStatus(status);
  return error;
}

// The runtime has one allocator for the sessions that share one. The process may have registered another.
bool registerPool() {
  Status* refusal = api().RegisterAllocator(environment(), poolAllocator());
  if (refusal) api().ReleaseStatus(refusal);
  return !refusal;
}

}  // namespace

void load(const std::string& path) {
  const std::lock_guard<std::mutex> lock(loading);
  if (library.api) return;
  Library opened = open(path);
  Status* status = opened.api->CreateEnv(kLogError, "onnx-groupnorm", &opened.environment);
  if (status) throw takeError(*opened.api, status);
  // Node unloads an addon when the last worker that has loaded it ends. The runtime keeps pointers to the functions of
  // the pool's allocator, and the pool has blocks, for as long as the process lives: so must this code.
  keepThisCode();
  library = opened;
  library.hasPool = registerPool();
}

const char* version() { return library.version; }

const Api& api() { return *library.api; }

Env* environment() { return library.environment; }

bool poolIsRegistered() { return library.hasPool; }

void check(Status* status) {
  if (status) throw takeError(api(), status);
}

const char* nameOf(ErrorCode code) {
  static constexpr const char* kNames[] = {
      "OK",
      "FAIL",
      "INVALID_ARGUMENT",
      "NO_SUCHFILE",
      "NO_MODEL",
      "ENGINE_ERROR",
      "RUNTIME_EXCEPTION",
      "INVALID_PROTOBUF",
      "MODEL_LOADED",
      "NOT_IMPLEMENTED",
      "INVALID_GRAPH",
      "EP_FAIL",
      "MODEL_LOAD_CANCELED",
      "MODEL_REQUIRES_COMPILATION",
      "NOT_FOUND",
  };
  const auto index = static_cast<size_t>(code);
  return index < std::size(kNames) ? kNames[index] : "FAIL";
}

}  // namespace ort
