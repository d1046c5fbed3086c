// The kernels for x86-64 with AVX2, FMA and F16C. Nothing on other machines.
//
// Flags: -mavx2 -mfma -mf16c -ffp-contract=off.
#include "kernels.h"

#if GROUP_NORM_X86

#ifndef __AVX2__
#error "compile this file, and no other, for AVX2"
#endif

#include "kernel_impl.h"
#include "vec_avx2.h"

namespace group_norm {

const Kernels& avx2Kernels() {
  static constexpr Kernels kernels = tableOf<Floats, Doubles>("avx2");
  return kernels;
}

}  // namespace group_norm

#endif
