// One instruction set's table of kernels, made of its two types of vectors, as a vec_*.h has them.
//
// Everything but the table is in unnamed namespaces, and nothing of the standard library but memcpy is used: an
// inline or template function with a name of its own, compiled here with AVX, could be the copy that the linker
// keeps for the portable path, which would then crash on a machine without AVX.
#pragma once

#include "blocked_output.h"
#include "blocked_statistics.h"
#include "output.h"
#include "short_rows.h"
#include "statistics.h"

namespace group_norm {
namespace {

template <typename V, typename D, typename T>
constexpr TypeKernels typeKernels() {
  return {moments<V, T>, normalize<V, T>, shortRows<V, D, T>};
}

template <typename V, typename D, size_t block>
constexpr BlockKernels blockKernels() {
  return {laneMoments<V, D, block>, normalizeBlock<V, block>};
}

// 16-bit elements are computed with as float.
template <typename Floats, typename Doubles>
constexpr Kernels tableOf(const char* name) {
  return {name,
          {typeKernels<Floats, Doubles, float>(), typeKernels<Doubles, Doubles, double>(),
           typeKernels<Floats, Doubles, Half>(), typeKernels<Floats, Doubles, BFloat16>()},
          blockKernels<Floats, Doubles, 8>(),
          blockKernels<Floats, Doubles, 16>()};
}

}  // namespace
}  // namespace group_norm
