#include "platform.h"

#include "library.h"

#ifdef _WIN32
#include <windows.h>
#else
#include <dlfcn.h>
#endif

namespace ort {

#ifdef _WIN32

namespace {

std::string messageOf(DWORD code) {
  wchar_t text[512];
  const DWORD flags = FORMAT_MESSAGE_FROM_SYSTEM | FORMAT_MESSAGE_IGNORE_INSERTS | FORMAT_MESSAGE_MAX_WIDTH_MASK;
  const int length = static_cast<int>(FormatMessageW(flags, nullptr, code, 0, text, 512, nullptr));
  char utf8[2048];
  const int bytes = WideCharToMultiByte(CP_UTF8, 0, text, length, utf8, sizeof utf8, nullptr, nullptr);
  return std::string(utf8, static_cast<size_t>(bytes)) + "(Windows error " + std::to_string(code) + ")";
}

}  // namespace

Path toPath(const std::string& utf8) {
  const int bytes = static_cast<int>(utf8.size());
  Path path(static_cast<size_t>(MultiByteToWideChar(CP_UTF8, 0, utf8.data(), bytes, nullptr, 0)), L'\0');
  MultiByteToWideChar(CP_UTF8, 0, utf8.data(), bytes, path.data(), static_cast<int>(path.size()));
  return path;
}

void* openLibrary(const std::string& path) {
  const Path name = toPath(path.substr(path.find_last_of("\\/") + 1));
  HMODULE library = nullptr;
  if (GetModuleHandleExW(GET_MODULE_HANDLE_EX_FLAG_PIN, name.c_str(), &library)) return library;
  // The libraries that it needs lie beside it.
  library = LoadLibraryExW(toPath(path).c_str(), nullptr, LOAD_WITH_ALTERED_SEARCH_PATH);
  if (!library) throw Error(path + ": " + messageOf(GetLastError()));
  return library;
}

void* symbolOf(void* library, const char* name) {
  return reinterpret_cast<void*>(GetProcAddress(static_cast<HMODULE>(library), name));
}

void keepThisCode() {
  HMODULE self = nullptr;
  GetModuleHandleExW(GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS | GET_MODULE_HANDLE_EX_FLAG_PIN,
                     reinterpret_cast<LPCWSTR>(keepThisCode), &self);
}

#else

Path toPath(const std::string& utf8) { return utf8; }

void* openLibrary(const std::string& path) {
  constexpr int kMode = RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE;
  const std::string name = path.substr(path.rfind('/') + 1);
  if (void* loaded = dlopen(name.c_str(), kMode | RTLD_NOLOAD)) return loaded;
  void* library = dlopen(path.c_str(), kMode);
  if (!library) throw Error(dlerror());
  return library;
}

void* symbolOf(void* library, const char* name) { return dlsym(library, name); }

void keepThisCode() {
  Dl_info self;
  if (dladdr(reinterpret_cast<void*>(keepThisCode), &self) != 0) {
    dlopen(self.dli_fname, RTLD_NOW | RTLD_LOCAL | RTLD_NOLOAD | RTLD_NODELETE);
  }
}

#endif

}  // namespace ort
