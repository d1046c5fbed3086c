// The same in double, element by element, for values that float arithmetic would lose: whose squares overflow or
// vanish. Rare, so it is written once, for reading, and compiled for any machine.
#pragma once

#include <float.h>

#include "kernels.h"
#include "storage.h"

namespace group_norm {

template <typename T>
Moments wideMoments(const T* x, size_t count);
extern template Moments wideMoments(const float*, size_t);
extern template Moments wideMoments(const double*, size_t);
extern template Moments wideMoments(const Half*, size_t);
extern template Moments wideMoments(const BFloat16*, size_t);

// The largest magnitude among the elements; Inf if one of them is Inf or NaN.
double largestMagnitude(DType dtype, const void* elements, size_t count);

// True if the row's elements, their distance from the mean, or what that is multiplied by, may be beyond what the
// type's arithmetic holds.
static inline bool needsWide(DType dtype, double rstd, double largestScale) {
  const double factor = largestScale * rstd;
  if (dtype == DType::float64) return !(factor <= DBL_MAX);
  return rstd > 1e30 || rstd < 1e-30 || !(factor <= static_cast<double>(FLT_MAX));
}

// Elements begin .. end - 1 of the row.
void wideNormalize(DType dtype, const Row& row, size_t begin, size_t end);

}  // namespace group_norm
