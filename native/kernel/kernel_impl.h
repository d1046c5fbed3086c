// One instruction set's table of kernels, made of the vectors of the vec_*.h that was included before.
//
// Everything but the table is in unnamed namespaces, and nothing of the standard library but memcpy is used: an
// inline or template function with a name of its own, compiled here with AVX, could be the copy that the linker
// keeps for the portable path, which would then crash on a machine without AVX.
#pragma once

#include "output.h"
#include "statistics.h"

namespace group_norm {
namespace {

template <typename T>
constexpr TypeKernels typeKernels() {
  return {moments<T>, normalize<T>};
}

constexpr Kernels tableNamed(const char* name) {
  return {name, {typeKernels<float>(), typeKernels<double>(), typeKernels<Half>(), typeKernels<BFloat16>()}};
}

}  // namespace
}  // namespace group_norm
