// A test is a function with a name; a check that fails says where, and with what.
#pragma once

#include <sstream>
#include <string>

namespace check {

using Test = void (*)();

struct Registration {
  Registration(const char* name, Test test);
};

// The first failures of a test are printed, the others counted.
void fail(const char* file, int line, const std::string& what);

}  // namespace check

#define TEST(name)                                                 \
  static void name();                                              \
  static const check::Registration registered_##name(#name, name); \
  static void name()

#define CHECK(condition, ...)                         \
  do {                                                \
    if (!(condition)) {                               \
      std::ostringstream message;                     \
      message << #condition << ": " << __VA_ARGS__;   \
      check::fail(__FILE__, __LINE__, message.str()); \
    }                                                 \
  } while (false)
