#include "library.h"

#include <mutex>

#ifdef _WIN32
#include <windows.h>
#else
#include <dlfcn.h>
#endif

namespace ort {
namespace {

using GetApiBase = const ApiBase*(ORT_CALL*)();

struct Library {
  const Api* api = nullptr;
  const char* version = "";
  Env* environment = nullptr;
};

Library library;
std::mutex loading;

#ifdef _WIN32
void* symbolOf(const std::string& path, const char* name) {
  const int length = MultiByteToWideChar(CP_UTF8, 0, path.c_str(), -1, nullptr, 0);
  std::wstring wide(static_cast<size_t>(length), L'\0');
  MultiByteToWideChar(CP_UTF8, 0, path.c_str(), -1, wide.data(), length);
  HMODULE handle = LoadLibraryExW(wide.c_str(), nullptr, LOAD_WITH_ALTERED_SEARCH_PATH);
  if (!handle) throw Error("cannot load " + path + " (error " + std::to_string(GetLastError()) + ")");
  return reinterpret_cast<void*>(GetProcAddress(handle, name));
}
#else
// Once loaded it stays: RTLD_NODELETE, because the runtime's threads may run when the last worker has gone.
void* symbolOf(const std::string& path, const char* name) {
  void* handle = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
  if (!handle) throw Error(dlerror());
  return dlsym(handle, name);
}
#endif

Library open(const std::string& path) {
  const auto getApiBase = reinterpret_cast<GetApiBase>(symbolOf(path, "OrtGetApiBase"));
  if (!getApiBase) throw Error(path + " is no ONNX Runtime: it has no OrtGetApiBase");
  Library opened;
  opened.version = getApiBase()->GetVersionString();
  opened.api = getApiBase()->GetApi(kApiVersion);
  if (!opened.api) {
    throw Error("ONNX Runtime " + std::string(opened.version) + " is too old: 1." + std::to_string(kApiVersion) +
                " or later is needed");
  }
  return opened;
}

std::string messageOf(const Api& api, Status* status) {
  std::string message = api.GetErrorMessage(status);
  api.ReleaseStatus(status);
  return message;
}

}  // namespace

void load(const std::string& path) {
  const std::lock_guard<std::mutex> lock(loading);
  if (library.api) return;
  Library opened = open(path);
  Status* status = opened.api->CreateEnv(kLogError, "onnx-groupnorm", &opened.environment);
  if (status) throw Error(messageOf(*opened.api, status));
  library = opened;
}

const char* version() { return library.version; }

const Api& api() { return *library.api; }

Env* environment() { return library.environment; }

void check(Status* status) {
  if (status) throw Error(messageOf(api(), status));
}

}  // namespace ort
