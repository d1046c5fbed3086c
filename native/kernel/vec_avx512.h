// Vectors of AVX-512. See vec_portable.h for what each function must do.
#pragma once

#include <immintrin.h>

#include "always_inline.h"
#include "storage.h"

#if defined(__GNUC__) && !defined(__clang__)
// GCC before 13 takes its own intrinsics' undefined operands for mistakes of ours (GCC bug 105593).
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif

namespace group_norm {
namespace {

struct Floats {
  using Scalar = float;
  static constexpr size_t lanes = 16;
  static constexpr size_t tableLanes = lanes;
  __m512 v;

  static Floats load(const float* p);
  template <typename T>
  static Floats load(const T* p);
  static void endStreaming() { _mm_sfence(); }
};

struct Doubles {
  using Scalar = double;
  static constexpr size_t lanes = 8;
  static constexpr size_t tableLanes = 1;
  __m512d v;

  static Doubles load(const double* p);
  static Doubles load(const float* p);
  static void endStreaming() { _mm_sfence(); }
};

inline __mmask16 firstLanes(size_t count) { return static_cast<__mmask16>((1u << count) - 1u); }

inline Floats floats(__m256i halves, const Half*) { return {_mm512_cvtph_ps(halves)}; }
inline Floats floats(__m256i bits, const BFloat16*) {
  return {_mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(bits), 16))};
}

inline __m256i narrow(Floats a, const Half*) { return _mm512_cvtps_ph(a.v, _MM_FROUND_TO_NEAREST_INT); }
inline __m256i narrow(Floats a, const BFloat16*) {
  const __m512i bits = _mm512_castps_si512(a.v);
  const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
  const __m512i rounded = _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7FFF)));
  const __m512i quiet = _mm512_or_si512(bits, _mm512_set1_epi32(0x400000));
  const __mmask16 nan = _mm512_cmp_ps_mask(a.v, a.v, _CMP_UNORD_Q);
  return _mm512_cvtepi32_epi16(_mm512_srli_epi32(_mm512_mask_mov_epi32(rounded, nan, quiet), 16));
}

inline Floats Floats::load(const float* p) { return {_mm512_loadu_ps(p)}; }
inline Doubles Doubles::load(const double* p) { return {_mm512_loadu_pd(p)}; }
inline Doubles Doubles::load(const float* p) { return {_mm512_cvtps_pd(_mm256_loadu_ps(p))}; }
template <typename T>
Floats Floats::load(const T* p) {
  return floats(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)), p);
}

inline Floats loadPart(const float* p, size_t count, Floats fill) {
  return {_mm512_mask_loadu_ps(fill.v, firstLanes(count), p)};
}
inline Doubles loadPart(const double* p, size_t count, Doubles fill) {
  return {_mm512_mask_loadu_pd(fill.v, static_cast<__mmask8>(firstLanes(count)), p)};
}
template <typename T>
Floats loadPart(const T* p, size_t count, Floats fill) {
  const __mmask16 mask = firstLanes(count);
  return {_mm512_mask_mov_ps(fill.v, mask, floats(_mm256_maskz_loadu_epi16(mask, p), p).v)};
}

inline void store(float* p, Floats a) { _mm512_storeu_ps(p, a.v); }
inline void store(double* p, Doubles a) { _mm512_storeu_pd(p, a.v); }
template <typename T>
void store(T* p, Floats a) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), narrow(a, p));
}

inline void storePart(float* p, size_t count, Floats a) { _mm512_mask_storeu_ps(p, firstLanes(count), a.v); }
inline void storePart(double* p, size_t count, Doubles a) {
  _mm512_mask_storeu_pd(p, static_cast<__mmask8>(firstLanes(count)), a.v);
}
template <typename T>
void storePart(T* p, size_t count, Floats a) {
  _mm256_mask_storeu_epi16(p, firstLanes(count), narrow(a, p));
}

inline void stream(float* p, Floats a) { _mm512_stream_ps(p, a.v); }
inline void stream(double* p, Doubles a) { _mm512_stream_pd(p, a.v); }
template <typename T>
void stream(T* p, Floats a) {
  _mm256_stream_si256(reinterpret_cast<__m256i*>(p), narrow(a, p));
}

inline void set(Floats& a, float value) { a.v = _mm512_set1_ps(value); }
inline void set(Doubles& a, double value) { a.v = _mm512_set1_pd(value); }

inline Floats operator+(Floats a, Floats b) { return {_mm512_add_ps(a.v, b.v)}; }
inline Floats operator-(Floats a, Floats b) { return {_mm512_sub_ps(a.v, b.v)}; }
inline Floats operator*(Floats a, Floats b) { return {_mm512_mul_ps(a.v, b.v)}; }
inline Floats operator/(Floats a, Floats b) { return {_mm512_div_ps(a.v, b.v)}; }
inline Doubles operator+(Doubles a, Doubles b) { return {_mm512_add_pd(a.v, b.v)}; }
inline Doubles operator-(Doubles a, Doubles b) { return {_mm512_sub_pd(a.v, b.v)}; }
inline Doubles operator*(Doubles a, Doubles b) { return {_mm512_mul_pd(a.v, b.v)}; }
inline Doubles operator/(Doubles a, Doubles b) { return {_mm512_div_pd(a.v, b.v)}; }

inline Floats multiplyAdd(Floats a, Floats b, Floats c) { return {_mm512_fmadd_ps(a.v, b.v, c.v)}; }
inline Doubles multiplyAdd(Doubles a, Doubles b, Doubles c) { return {_mm512_fmadd_pd(a.v, b.v, c.v)}; }

inline Doubles squareRoot(Doubles a) { return {_mm512_sqrt_pd(a.v)}; }

// The instructions return their second operand if either is NaN.
inline Floats atLeast(Floats limit, Floats a) { return {_mm512_max_ps(limit.v, a.v)}; }
inline Floats atMost(Floats limit, Floats a) { return {_mm512_min_ps(limit.v, a.v)}; }
inline Doubles atLeast(Doubles limit, Doubles a) { return {_mm512_max_pd(limit.v, a.v)}; }
inline Doubles atMost(Doubles limit, Doubles a) { return {_mm512_min_pd(limit.v, a.v)}; }

inline Floats tablePower(Floats table, Floats steps) {
  const __m512i fraction = _mm512_castps_si512(_mm512_permutexvar_ps(_mm512_castps_si512(steps.v), table.v));
  const __m512i shifted = _mm512_slli_epi32(_mm512_castps_si512(steps.v), 19);
  return {_mm512_castsi512_ps(_mm512_add_epi32(shifted, fraction))};
}
inline Doubles lowBitsToExponent(Doubles a) {
  return {_mm512_castsi512_pd(_mm512_slli_epi64(_mm512_castpd_si512(a.v), 52))};
}

inline double sum(Doubles a) {
  const __m256d four = _mm256_add_pd(_mm512_castpd512_pd256(a.v), _mm512_extractf64x4_pd(a.v, 1));
  const __m128d two = _mm_add_pd(_mm256_castpd256_pd128(four), _mm256_extractf128_pd(four, 1));
  return _mm_cvtsd_f64(_mm_add_sd(two, _mm_unpackhi_pd(two, two)));
}
inline double sum(Floats a) {
  const __m512d low = _mm512_cvtps_pd(_mm512_castps512_ps256(a.v));
  const __m512d high = _mm512_cvtps_pd(_mm512_extractf32x8_ps(a.v, 1));
  return sum(Doubles{_mm512_add_pd(low, high)});
}

inline __m512 addedInPairs(__m512 a, __m512 b) {
  return _mm512_add_ps(_mm512_shuffle_ps(a, b, 0x88), _mm512_shuffle_ps(a, b, 0xDD));
}
inline __m512 addedAcross(__m512 a, __m512 b) {
  return _mm512_add_ps(_mm512_shuffle_f32x4(a, b, 0x88), _mm512_shuffle_f32x4(a, b, 0xDD));
}
// Of four rows, the sums of the quarters of each: four lanes for each quarter.
inline __m512 quarterSums(const Floats* a) {
  return addedInPairs(addedInPairs(a[0].v, a[1].v), addedInPairs(a[2].v, a[3].v));
}
ALWAYS_INLINE Floats sumOfEach(const Floats* a) {
  const __m512 eight = addedAcross(quarterSums(a), quarterSums(a + 4));
  const __m512 more = addedAcross(quarterSums(a + 8), quarterSums(a + 12));
  return {addedAcross(eight, more)};
}

inline __m512d addedInPairs(Doubles a, Doubles b) {
  return _mm512_add_pd(_mm512_unpacklo_pd(a.v, b.v), _mm512_unpackhi_pd(a.v, b.v));
}
inline __m512d addedAcross(__m512d a, __m512d b) {
  return _mm512_add_pd(_mm512_shuffle_f64x2(a, b, 0x88), _mm512_shuffle_f64x2(a, b, 0xDD));
}
ALWAYS_INLINE Doubles sumOfEach(const Doubles* a) {
  const __m512d four = addedAcross(addedInPairs(a[0], a[1]), addedInPairs(a[2], a[3]));
  const __m512d more = addedAcross(addedInPairs(a[4], a[5]), addedInPairs(a[6], a[7]));
  return {addedAcross(four, more)};
}

inline Doubles zeroWhereLess(Doubles a, Doubles b, Doubles v) {
  return {_mm512_maskz_mov_pd(_mm512_cmp_pd_mask(a.v, b.v, _CMP_NLT_UQ), v.v)};
}

inline Floats joined(size_t count, Floats a, Floats b) { return {_mm512_mask_mov_ps(b.v, firstLanes(count), a.v)}; }
inline Doubles joined(size_t count, Doubles a, Doubles b) {
  return {_mm512_mask_mov_pd(b.v, static_cast<__mmask8>(firstLanes(count)), a.v)};
}

}  // namespace
}  // namespace group_norm
