#include "instruction_set.h"

#include <atomic>
#include <cstring>

#if GROUP_NORM_X86
#include <cpuid.h>
#endif

namespace group_norm {
namespace {

#if GROUP_NORM_X86

// Not __builtin_cpu_supports: each compiler has its own names of features, and zig links a stub that knows no feature.

struct Registers {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
};

// Zeros where the processor does not have the leaf.
Registers cpuid(unsigned leaf) {
  Registers registers;
  __get_cpuid_count(leaf, 0, &registers.eax, &registers.ebx, &registers.ecx, &registers.edx);
  return registers;
}

constexpr bool hasAll(unsigned value, unsigned bits) { return (value & bits) == bits; }

// Whether the operating system saves these registers of a thread (XCR0).
bool savesState(unsigned bits) {
  if (!hasAll(cpuid(1).ecx, bit_OSXSAVE)) return false;
  unsigned low, high;
  __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return hasAll(low, bits);
}

bool hasAvx2() {
  constexpr unsigned kXmmYmm = 0x6;
  return savesState(kXmmYmm) && hasAll(cpuid(1).ecx, bit_AVX | bit_FMA | bit_F16C) && hasAll(cpuid(7).ebx, bit_AVX2);
}

bool hasAvx512() {
  constexpr unsigned kMaskZmm = 0xe0;
  return hasAvx2() && savesState(kMaskZmm) &&
         hasAll(cpuid(7).ebx, bit_AVX512F | bit_AVX512BW | bit_AVX512VL | bit_AVX512DQ);
}

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
