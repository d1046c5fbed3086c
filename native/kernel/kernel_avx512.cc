// The kernels for x86-64 with AVX-512 F, BW, VL and DQ. Nothing on other machines.
//
// Flags: -mavx512f -mavx512bw -mavx512vl -mavx512dq -mavx2 -mfma -mf16c -ffp-contract=off.
#include "kernels.h"

#if GROUP_NORM_X86

#ifndef __AVX512F__
#error "compile this file, and no other, for AVX-512"
#endif

#include "kernel_impl.h"
#include "vec_avx512.h"

namespace group_norm {

const Kernels& avx512Kernels() {
  static constexpr Kernels kernels = tableOf<Floats, Doubles>("avx512");
  return kernels;
}

}  // namespace group_norm

#endif
