// The kernels for any machine: SSE2 on x86-64, NEON on ARM.
//
// Flags: GCC, Clang: -ffp-contract=off. Others: none.
#include "vec_portable.h"
//
#include "kernel_impl.h"

namespace group_norm {

const Kernels& portableKernels() {
#if defined(__aarch64__) || defined(_M_ARM64)
  static constexpr Kernels kernels = tableNamed("neon");
#else
  static constexpr Kernels kernels = tableNamed("portable");
#endif
  return kernels;
}

}  // namespace group_norm
