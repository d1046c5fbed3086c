// What differs between operating systems: how a library is loaded, and how a file is named.
#pragma once

#include <string>

namespace ort {

// The characters of the runtime's file names (ORTCHAR_T of its C interface).
#ifdef _WIN32
using PathChar = wchar_t;
#else
using PathChar = char;
#endif
using Path = std::basic_string<PathChar>;

// Converts a file name from UTF-8.
Path toPath(const std::string& utf8);

// Returns the library of that file name that the process has loaded already, from whatever folder, or loads the library
// at `path`. It stays loaded until the process ends: the runtime's threads may run when the last worker has gone.
// Throws Error.
void* openLibrary(const std::string& path);

// Returns the address of a function of the library; null if the library has no function of that name.
void* symbolOf(void* library, const char* name);

// Keeps this addon loaded until the process ends.
void keepThisCode();

}  // namespace ort
