// Vectors of AVX2 with FMA and F16C. See vec_portable.h for what each function must do.
#pragma once

#include <immintrin.h>

#include "always_inline.h"
#include "storage.h"

namespace group_norm {
namespace {

struct Floats {
  using Scalar = float;
  static constexpr size_t lanes = 8;
  static constexpr size_t tableLanes = lanes;
  __m256 v;

  static Floats load(const float* p);
  template <typename T>
  static Floats load(const T* p);
  static void endStreaming() { _mm_sfence(); }
};

struct Doubles {
  using Scalar = double;
  static constexpr size_t lanes = 4;
  static constexpr size_t tableLanes = 1;
  __m256d v;

  static Doubles load(const double* p);
  static Doubles load(const float* p);
  static void endStreaming() { _mm_sfence(); }
};

inline __m256i firstLanes(size_t count) {
  const __m256i index = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(count)), index);
}
inline __m256i firstDoubleLanes(size_t count) {
  const __m256i index = _mm256_setr_epi64x(0, 1, 2, 3);
  return _mm256_cmpgt_epi64(_mm256_set1_epi64x(static_cast<long long>(count)), index);
}

inline Floats floats(__m128i halves, const Half*) { return {_mm256_cvtph_ps(halves)}; }
inline Floats floats(__m128i bits, const BFloat16*) {
  return {_mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(bits), 16))};
}

inline __m128i narrow(Floats a, const Half*) { return _mm256_cvtps_ph(a.v, _MM_FROUND_TO_NEAREST_INT); }
inline __m128i narrow(Floats a, const BFloat16*) {
  const __m256i bits = _mm256_castps_si256(a.v);
  const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
  const __m256i rounded = _mm256_add_epi32(bits, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7FFF)));
  const __m256i quiet = _mm256_or_si256(bits, _mm256_set1_epi32(0x400000));
  const __m256i nan = _mm256_castps_si256(_mm256_cmp_ps(a.v, a.v, _CMP_UNORD_Q));
  const __m256i high = _mm256_srli_epi32(_mm256_blendv_epi8(rounded, quiet, nan), 16);
  return _mm_packus_epi32(_mm256_castsi256_si128(high), _mm256_extracti128_si256(high, 1));
}

inline Floats Floats::load(const float* p) { return {_mm256_loadu_ps(p)}; }
inline Doubles Doubles::load(const double* p) { return {_mm256_loadu_pd(p)}; }
inline Doubles Doubles::load(const float* p) { return {_mm256_cvtps_pd(_mm_loadu_ps(p))}; }
template <typename T>
Floats Floats::load(const T* p) {
  return floats(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)), p);
}

inline Floats loadPart(const float* p, size_t count, Floats fill) {
  const __m256i mask = firstLanes(count);
  return {_mm256_blendv_ps(fill.v, _mm256_maskload_ps(p, mask), _mm256_castsi256_ps(mask))};
}
inline Doubles loadPart(const double* p, size_t count, Doubles fill) {
  const __m256i mask = firstDoubleLanes(count);
  return {_mm256_blendv_pd(fill.v, _mm256_maskload_pd(p, mask), _mm256_castsi256_pd(mask))};
}
template <typename T>
Floats loadPart(const T* p, size_t count, Floats fill) {
  T elements[Floats::lanes] = {};
  std::memcpy(elements, p, count * sizeof(T));
  return {_mm256_blendv_ps(fill.v, Floats::load(elements).v, _mm256_castsi256_ps(firstLanes(count)))};
}

inline void store(float* p, Floats a) { _mm256_storeu_ps(p, a.v); }
inline void store(double* p, Doubles a) { _mm256_storeu_pd(p, a.v); }
template <typename T>
void store(T* p, Floats a) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), narrow(a, p));
}

inline void storePart(float* p, size_t count, Floats a) { _mm256_maskstore_ps(p, firstLanes(count), a.v); }
inline void storePart(double* p, size_t count, Doubles a) { _mm256_maskstore_pd(p, firstDoubleLanes(count), a.v); }
template <typename T>
void storePart(T* p, size_t count, Floats a) {
  T elements[Floats::lanes];
  store(elements, a);
  std::memcpy(p, elements, count * sizeof(T));
}

inline void stream(float* p, Floats a) { _mm256_stream_ps(p, a.v); }
inline void stream(double* p, Doubles a) { _mm256_stream_pd(p, a.v); }
template <typename T>
void stream(T* p, Floats a) {
  _mm_stream_si128(reinterpret_cast<__m128i*>(p), narrow(a, p));
}

inline void set(Floats& a, float value) { a.v = _mm256_set1_ps(value); }
inline void set(Doubles& a, double value) { a.v = _mm256_set1_pd(value); }

inline Floats operator+(Floats a, Floats b) { return {_mm256_add_ps(a.v, b.v)}; }
inline Floats operator-(Floats a, Floats b) { return {_mm256_sub_ps(a.v, b.v)}; }
inline Floats operator*(Floats a, Floats b) { return {_mm256_mul_ps(a.v, b.v)}; }
inline Floats operator/(Floats a, Floats b) { return {_mm256_div_ps(a.v, b.v)}; }
inline Doubles operator+(Doubles a, Doubles b) { return {_mm256_add_pd(a.v, b.v)}; }
inline Doubles operator-(Doubles a, Doubles b) { return {_mm256_sub_pd(a.v, b.v)}; }
inline Doubles operator*(Doubles a, Doubles b) { return {_mm256_mul_pd(a.v, b.v)}; }
inline Doubles operator/(Doubles a, Doubles b) { return {_mm256_div_pd(a.v, b.v)}; }

inline Floats multiplyAdd(Floats a, Floats b, Floats c) { return {_mm256_fmadd_ps(a.v, b.v, c.v)}; }
inline Doubles multiplyAdd(Doubles a, Doubles b, Doubles c) { return {_mm256_fmadd_pd(a.v, b.v, c.v)}; }

inline Doubles squareRoot(Doubles a) { return {_mm256_sqrt_pd(a.v)}; }

// The instructions return their second operand if either is NaN.
inline Floats atLeast(Floats limit, Floats a) { return {_mm256_max_ps(limit.v, a.v)}; }
inline Floats atMost(Floats limit, Floats a) { return {_mm256_min_ps(limit.v, a.v)}; }
inline Doubles atLeast(Doubles limit, Doubles a) { return {_mm256_max_pd(limit.v, a.v)}; }
inline Doubles atMost(Doubles limit, Doubles a) { return {_mm256_min_pd(limit.v, a.v)}; }

inline Floats tablePower(Floats table, Floats steps) {
  const __m256i fraction = _mm256_castps_si256(_mm256_permutevar8x32_ps(table.v, _mm256_castps_si256(steps.v)));
  const __m256i shifted = _mm256_slli_epi32(_mm256_castps_si256(steps.v), 20);
  return {_mm256_castsi256_ps(_mm256_add_epi32(shifted, fraction))};
}
inline Doubles lowBitsToExponent(Doubles a) {
  return {_mm256_castsi256_pd(_mm256_slli_epi64(_mm256_castpd_si256(a.v), 52))};
}

inline double sum(Doubles a) {
  const __m128d two = _mm_add_pd(_mm256_castpd256_pd128(a.v), _mm256_extractf128_pd(a.v, 1));
  return _mm_cvtsd_f64(_mm_add_sd(two, _mm_unpackhi_pd(two, two)));
}
inline double sum(Floats a) {
  const __m256d low = _mm256_cvtps_pd(_mm256_castps256_ps128(a.v));
  const __m256d high = _mm256_cvtps_pd(_mm256_extractf128_ps(a.v, 1));
  return sum(Doubles{_mm256_add_pd(low, high)});
}

// Of four rows, the sums of the halves of each: four lanes for each half.
inline __m256 halfSums(const Floats* a) {
  return _mm256_hadd_ps(_mm256_hadd_ps(a[0].v, a[1].v), _mm256_hadd_ps(a[2].v, a[3].v));
}
ALWAYS_INLINE Floats sumOfEach(const Floats* a) {
  const __m256 four = halfSums(a);
  const __m256 more = halfSums(a + 4);
  return {_mm256_add_ps(_mm256_permute2f128_ps(four, more, 0x20), _mm256_permute2f128_ps(four, more, 0x31))};
}
ALWAYS_INLINE Doubles sumOfEach(const Doubles* a) {
  const __m256d two = _mm256_hadd_pd(a[0].v, a[1].v);
  const __m256d more = _mm256_hadd_pd(a[2].v, a[3].v);
  return {_mm256_add_pd(_mm256_permute2f128_pd(two, more, 0x20), _mm256_permute2f128_pd(two, more, 0x31))};
}

inline Doubles zeroWhereLess(Doubles a, Doubles b, Doubles v) {
  return {_mm256_andnot_pd(_mm256_cmp_pd(a.v, b.v, _CMP_LT_OQ), v.v)};
}

inline Floats joined(size_t count, Floats a, Floats b) {
  return {_mm256_blendv_ps(b.v, a.v, _mm256_castsi256_ps(firstLanes(count)))};
}
inline Doubles joined(size_t count, Doubles a, Doubles b) {
  return {_mm256_blendv_pd(b.v, a.v, _mm256_castsi256_pd(firstDoubleLanes(count)))};
}

}  // namespace
}  // namespace group_norm
