#include "check.h"

#include <chrono>
#include <cstdio>
#include <cstring>
#include <vector>

namespace check {
namespace {

struct Named {
  const char* name;
  Test test;
};

std::vector<Named>& tests() {
  static std::vector<Named> all;
  return all;
}

int failures = 0;

}  // namespace

Registration::Registration(const char* name, Test test) { tests().push_back({name, test}); }

void fail(const char* file, int line, const std::string& what) {
  const int shown = 5;
  if (++failures <= shown) std::printf("  %s:%d: %s\n", file, line, what.c_str());
  if (failures == shown + 1) std::printf("  ...\n");
}

}  // namespace check

// native-tests [WORD]: the tests whose name contains the word.
int main(int argc, char** argv) {
  int passed = 0;
  int failed = 0;
  for (const auto& [name, test] : check::tests()) {
    if (argc > 1 && !std::strstr(name, argv[1])) continue;
    check::failures = 0;
    const auto begin = std::chrono::steady_clock::now();
    test();
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
    const bool good = check::failures == 0;
    std::printf("%s %s (%.2f s)\n", good ? "ok    " : "FAILED", name, seconds.count());
    if (!good) std::printf("  %d failed checks\n", check::failures);
    ++(good ? passed : failed);
  }
  std::printf("%d passed, %d failed\n", passed, failed);
  return failed == 0 && passed > 0 ? 0 : 1;
}
