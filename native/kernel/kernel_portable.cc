// The kernels for any machine: SSE2 on x86-64, NEON on ARM.
//
// Flags: -ffp-contract=off.
#include "kernel_impl.h"
#include "vec_portable.h"

namespace group_norm {

const Kernels& portableKernels() {
#if defined(__aarch64__)
  static constexpr Kernels kernels = tableOf<Floats, Doubles>("neon");
#else
  static constexpr Kernels kernels = tableOf<Floats, Doubles>("portable");
#endif
  return kernels;
}

}  // namespace group_norm
