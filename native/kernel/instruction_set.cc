#include "instruction_set.h"

#include <atomic>
#include <cstring>

#if GROUP_NORM_X86 && defined(_MSC_VER) && !defined(__clang__)
#include <immintrin.h>
#include <intrin.h>
#endif

namespace group_norm {
namespace {

#if GROUP_NORM_X86
#if defined(_MSC_VER) && !defined(__clang__)

struct Features {
  bool avx2 = false;
  bool avx512 = false;

  Features() {
    int basic[4];
    int extended[4];
    __cpuidex(basic, 0, 0);
    if (basic[0] < 7) return;
    __cpuidex(basic, 1, 0);
    __cpuidex(extended, 7, 0);
    const auto bit = [](int word, int index) { return ((word >> index) & 1) != 0; };
    if (!bit(basic[2], 27)) return;  // OSXSAVE: without it there is no XGETBV to ask
    const unsigned long long saved = _xgetbv(0);
    const bool savesYmm = (saved & 0x06) == 0x06;
    const bool savesZmm = (saved & 0xE6) == 0xE6;
    const bool fma = bit(basic[2], 12);
    const bool f16c = bit(basic[2], 29);
    avx2 = savesYmm && fma && f16c && bit(extended[1], 5);
    avx512 = avx2 && savesZmm && bit(extended[1], 16) && bit(extended[1], 17) && bit(extended[1], 30) &&
             bit(extended[1], 31);  // F, DQ, BW, VL
  }
};

bool hasAvx2() { return Features().avx2; }
bool hasAvx512() { return Features().avx512; }

#else

// These ask the operating system's support, too. Not every compiler knows "f16c"; every machine with AVX2 has it.
bool hasAvx2() { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }
bool hasAvx512() {
  return hasAvx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
}

#endif
#endif

const Kernels* named(const char* name) {
#if GROUP_NORM_X86
  if (std::strcmp(name, "avx512") == 0) return hasAvx512() ? &avx512Kernels() : nullptr;
  if (std::strcmp(name, "avx2") == 0) return hasAvx2() ? &avx2Kernels() : nullptr;
#endif
  const bool portable = std::strcmp(name, "portable") == 0 || std::strcmp(name, portableKernels().name) == 0;
  return portable ? &portableKernels() : nullptr;
}

const Kernels* best() {
  if (const Kernels* kernels = named("avx512")) return kernels;
  if (const Kernels* kernels = named("avx2")) return kernels;
  return &portableKernels();
}

std::atomic<const Kernels*>& inUse() {
  static std::atomic<const Kernels*> kernels{best()};
  return kernels;
}

}  // namespace

const Kernels& kernelsInUse() noexcept { return *inUse().load(std::memory_order_relaxed); }

const char* instructionSet() noexcept { return kernelsInUse().name; }

bool forceInstructionSet(const char* name) noexcept {
  const Kernels* kernels = named(name);
  if (kernels) inUse().store(kernels, std::memory_order_relaxed);
  return kernels != nullptr;
}

}  // namespace group_norm
