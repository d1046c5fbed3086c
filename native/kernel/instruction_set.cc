#include "instruction_set.h"

#include <atomic>
#include <cstring>

namespace group_norm {
namespace {

#if GROUP_NORM_X86

// These ask the operating system's support, too. Not every compiler knows "f16c"; every machine with AVX2 has it.
bool hasAvx2() { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }
bool hasAvx512() {
  return hasAvx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
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
