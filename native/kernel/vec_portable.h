// Vectors of 16 bytes, without intrinsics but for ARM's float16. vec_avx2.h and vec_avx512.h define the same
// functions; every algorithm is written in them once.
//
//   V::load, store            a whole vector, unaligned; 16-bit elements widen to float and are rounded back, floats
//                             widen to double
//   loadPart, storePart       the first `count` lanes; the others are `fill`, or not written
//   stream, V::endStreaming   store past the caches to an address aligned to the vector; before others may read it
//   set                       one value in all lanes
//   multiplyAdd(a, b, c)      a * b + c, fused where the machine does that
//   squareRoot                rounded right; of doubles
//   atLeast, atMost           limited from below or above; NaN stays NaN
//   tableLanes                numbers in a table that tablePower takes; 1 if there is lowBitsToExponent instead
//   tablePower(table, steps)  the lane of the table that the lowest bits of `steps` name, the bits of `steps` being
//                             added to its bits so that tableLanes of them are one of its exponent
//   lowBitsToExponent         the lowest bits of each lane moved to where its exponent and sign are
//   sum                       of all lanes, in double
//   sumOfEach(a)              lane i is the sum of the lanes of a[i], for as many vectors as one has lanes
//   zeroWhereLess(a, b, v)    0 where a < b, v elsewhere; of doubles
//   joined(count, a, b)       the first `count` lanes of a, the others of b
#pragma once

#include "always_inline.h"
#include "lanes.h"
#include "storage.h"

#if defined(__aarch64__)
#include <arm_neon.h>
#endif

namespace group_norm {
namespace {

struct Floats {
  using Scalar = float;
  static constexpr size_t lanes = 4;
  static constexpr size_t tableLanes = 1;
  FloatLanes v;

  static Floats load(const float* p);
  template <typename T>
  static Floats load(const T* p);
  static void endStreaming() {}
};

struct Doubles {
  using Scalar = double;
  static constexpr size_t lanes = 2;
  static constexpr size_t tableLanes = 1;
  DoubleLanes v;

  static Doubles load(const double* p);
  static Doubles load(const float* p);
  static void endStreaming() {}
};

inline void narrow(float value, float* p) { *p = value; }
inline void narrow(double value, double* p) { *p = value; }
inline void narrow(float value, Half* p) { *p = narrowToHalf(value); }
inline void narrow(float value, BFloat16* p) { *p = narrowToBFloat16(value); }

inline Floats Floats::load(const float* p) {
  Floats a;
  std::memcpy(&a.v, p, sizeof a.v);
  return a;
}
inline Doubles Doubles::load(const double* p) {
  Doubles a;
  std::memcpy(&a.v, p, sizeof a.v);
  return a;
}
inline Doubles Doubles::load(const float* p) {
  Doubles a;
  for (size_t i = 0; i < Doubles::lanes; ++i) a.v[i] = static_cast<double>(p[i]);
  return a;
}
template <typename T>
Floats Floats::load(const T* p) {
  Floats a;
  for (size_t i = 0; i < Floats::lanes; ++i) a.v[i] = get(p, i);
  return a;
}

template <typename V, typename T>
V loadPart(const T* p, size_t count, V fill) {
  for (size_t i = 0; i < count; ++i) fill.v[i] = get(p, i);
  return fill;
}

inline void store(float* p, Floats a) { std::memcpy(p, &a.v, sizeof a.v); }
inline void store(double* p, Doubles a) { std::memcpy(p, &a.v, sizeof a.v); }

template <typename V, typename T>
void storePart(T* p, size_t count, V a) {
  for (size_t i = 0; i < count; ++i) {
    T element;
    narrow(a.v[i], &element);
    put(p, i, element);
  }
}
template <typename T>
void store(T* p, Floats a) {
  storePart(p, Floats::lanes, a);
}

template <>
inline Floats Floats::load(const BFloat16* p) {
  ShortBits bits;
  std::memcpy(&bits, p, sizeof bits);
  const FloatBits wide = widened(bits);
  Floats a;
  std::memcpy(&a.v, &wide, sizeof a.v);
  return a;
}
inline void store(BFloat16* p, Floats a) {
  FloatBits wide;
  std::memcpy(&wide, &a.v, sizeof wide);
  const ShortBits bits = narrowed(wide);
  std::memcpy(p, &bits, sizeof bits);
}

#if defined(__aarch64__)
template <>
inline Floats Floats::load(const Half* p) {
  float16x4_t halves;
  std::memcpy(&halves, p, sizeof halves);
  return {reinterpret_cast<FloatLanes>(vcvt_f32_f16(halves))};
}
inline void store(Half* p, Floats a) {
  const float16x4_t halves = vcvt_f16_f32(reinterpret_cast<float32x4_t>(a.v));
  std::memcpy(p, &halves, sizeof halves);
}
#endif

template <typename V, typename T>
void stream(T* p, V a) {
  store(p, a);
}

template <typename V>
void set(V& a, typename V::Scalar value) {
  for (size_t i = 0; i < V::lanes; ++i) a.v[i] = value;
}

inline Floats operator+(Floats a, Floats b) { return {a.v + b.v}; }
inline Floats operator-(Floats a, Floats b) { return {a.v - b.v}; }
inline Floats operator*(Floats a, Floats b) { return {a.v * b.v}; }
inline Floats operator/(Floats a, Floats b) { return {a.v / b.v}; }
inline Doubles operator+(Doubles a, Doubles b) { return {a.v + b.v}; }
inline Doubles operator-(Doubles a, Doubles b) { return {a.v - b.v}; }
inline Doubles operator*(Doubles a, Doubles b) { return {a.v * b.v}; }
inline Doubles operator/(Doubles a, Doubles b) { return {a.v / b.v}; }

// The compiler fuses a.v * b.v + c.v where that is one instruction and it was not told otherwise. Whether it does
// must not depend on the place in the loop, so it is told otherwise, and ARM is asked for the instruction by name.
#if defined(__aarch64__)
inline Floats multiplyAdd(Floats a, Floats b, Floats c) {
  Floats result;
  for (size_t i = 0; i < Floats::lanes; ++i) result.v[i] = __builtin_fmaf(a.v[i], b.v[i], c.v[i]);
  return result;
}
inline Doubles multiplyAdd(Doubles a, Doubles b, Doubles c) {
  Doubles result;
  for (size_t i = 0; i < Doubles::lanes; ++i) result.v[i] = __builtin_fma(a.v[i], b.v[i], c.v[i]);
  return result;
}
#else
inline Floats multiplyAdd(Floats a, Floats b, Floats c) { return {a.v * b.v + c.v}; }
inline Doubles multiplyAdd(Doubles a, Doubles b, Doubles c) { return {a.v * b.v + c.v}; }
#endif

inline Doubles squareRoot(Doubles a) {
  for (size_t i = 0; i < Doubles::lanes; ++i) a.v[i] = __builtin_sqrt(a.v[i]);
  return a;
}

inline Floats atLeast(Floats limit, Floats a) { return {larger(limit.v, a.v)}; }
inline Floats atMost(Floats limit, Floats a) { return {smaller(limit.v, a.v)}; }
inline Doubles atLeast(Doubles limit, Doubles a) { return {larger(limit.v, a.v)}; }
inline Doubles atMost(Doubles limit, Doubles a) { return {smaller(limit.v, a.v)}; }

inline Floats lowBitsToExponent(Floats a) { return {shiftedLeft(a.v, 23)}; }
inline Doubles lowBitsToExponent(Doubles a) { return {shiftedLeft(a.v, 52)}; }

template <typename V>
double sum(V a) {
  double total = 0;
  for (size_t i = 0; i < V::lanes; ++i) total += static_cast<double>(a.v[i]);
  return total;
}

inline Floats sumOfEach(const Floats* a) {
  Floats sums;
  for (size_t i = 0; i < Floats::lanes; ++i) sums.v[i] = (a[i].v[0] + a[i].v[1]) + (a[i].v[2] + a[i].v[3]);
  return sums;
}
inline Doubles sumOfEach(const Doubles* a) {
  Doubles sums;
  for (size_t i = 0; i < Doubles::lanes; ++i) sums.v[i] = a[i].v[0] + a[i].v[1];
  return sums;
}

inline Doubles zeroWhereLess(Doubles a, Doubles b, Doubles v) {
  for (size_t i = 0; i < Doubles::lanes; ++i) v.v[i] = a.v[i] < b.v[i] ? 0 : v.v[i];
  return v;
}

inline Floats joined(size_t count, Floats a, Floats b) {
  const FloatBits index = {0, 1, 2, 3};
  return {index < static_cast<uint32_t>(count) ? a.v : b.v};
}
inline Doubles joined(size_t count, Doubles a, Doubles b) {
  const DoubleBits index = {0, 1};
  return {index < static_cast<uint64_t>(count) ? a.v : b.v};
}

}  // namespace
}  // namespace group_norm
