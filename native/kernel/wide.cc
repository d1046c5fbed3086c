#include "wide.h"

#include <cfloat>
#include <cmath>
#include <limits>

namespace group_norm {

template <typename T>
Moments wideMoments(const T* x, size_t count) {
  const double n = static_cast<double>(count);
  const double first = static_cast<double>(get(x, 0));
  double offset = 0;
  for (size_t i = 0; i < count; ++i) offset += static_cast<double>(get(x, i)) - first;
  const double mean = first + offset / n;
  double squares = 0;
  for (size_t i = 0; i < count; ++i) {
    const double deviation = static_cast<double>(get(x, i)) - mean;
    squares += deviation * deviation;
  }
  return {n, mean, squares};
}

template Moments wideMoments(const float*, size_t);
template Moments wideMoments(const double*, size_t);
template Moments wideMoments(const Half*, size_t);
template Moments wideMoments(const BFloat16*, size_t);

namespace {

// Bits without the sign are ordered as the magnitudes are, NaN above Inf.
template <typename T, typename Bits>
double largestOf(const void* elements, size_t count) {
  Bits largest = 0;
  for (size_t i = 0; i < count; ++i) {
    Bits bits;
    std::memcpy(&bits, static_cast<const char*>(elements) + i * sizeof bits, sizeof bits);
    bits = static_cast<Bits>(bits & std::numeric_limits<Bits>::max());
    largest = bits > largest ? bits : largest;
  }
  T element;
  std::memcpy(&element, &largest, sizeof element);
  const double magnitude = static_cast<double>(widen(element));
  return magnitude <= DBL_MAX ? magnitude : HUGE_VAL;
}

double activate(double v, Activation activation) {
  switch (activation) {
    case Activation::relu:
      return v < 0 ? 0 : v;
    case Activation::silu:
      return v / (1 + std::exp(-v));
    default:
      return v;
  }
}

void narrow(double value, float* p) { *p = static_cast<float>(value); }
void narrow(double value, double* p) { *p = value; }
void narrow(double value, Half* p) { *p = narrowToHalf(static_cast<float>(value)); }
void narrow(double value, BFloat16* p) { *p = narrowToBFloat16(static_cast<float>(value)); }

template <typename T>
void normalize(const Row& row, size_t begin, size_t end) {
  const auto at = [](const void* elements, size_t i) {
    return static_cast<double>(get(static_cast<const T*>(elements), i));
  };
  for (size_t i = begin; i < end; ++i) {
    const size_t channel = i / row.spatial;
    double v = (at(row.x, i) - row.standard.mean) * row.standard.rstd * at(row.scale, channel) + at(row.bias, channel);
    if (row.residual) v += at(row.residual, i);
    T element;
    narrow(activate(v, row.activation), &element);
    put(static_cast<T*>(row.y), i, element);
  }
}

}  // namespace

double largestMagnitude(DType dtype, const void* elements, size_t count) {
  switch (dtype) {
    case DType::float32:
      return largestOf<float, int32_t>(elements, count);
    case DType::float64:
      return largestOf<double, int64_t>(elements, count);
    case DType::float16:
      return largestOf<Half, int16_t>(elements, count);
    case DType::bfloat16:
      return largestOf<BFloat16, int16_t>(elements, count);
  }
  return 0;
}

void wideNormalize(DType dtype, const Row& row, size_t begin, size_t end) {
  switch (dtype) {
    case DType::float32:
      return normalize<float>(row, begin, end);
    case DType::float64:
      return normalize<double>(row, begin, end);
    case DType::float16:
      return normalize<Half>(row, begin, end);
    case DType::bfloat16:
      return normalize<BFloat16>(row, begin, end);
  }
}

}  // namespace group_norm
