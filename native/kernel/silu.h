// v * sigmoid(v) = v / (1 + exp(-v)), as PyTorch computes it: NaN at -Inf.
//
// exp(-v) = 2^(n / steps) * exp(-r), n being -v / ln 2 * steps rounded, so |r| <= ln 2 / steps / 2. n is rounded by
// adding a number so large that only whole ones have a place beside it. ln 2 / steps is in two parts, the first so
// short that n times it is exact. exp(-r) is a minimax polynomial. Where one instruction looks a number up in a
// register, that register holds 2^(j / steps) for each j = n mod steps, and the shorter polynomial takes the place of
// the longer one's multiplications, which is what the loop waits for; a division is cheaper than the multiplications
// that would refine an estimate.
#pragma once

#include "always_inline.h"

namespace group_norm {
namespace {

template <typename V>
ALWAYS_INLINE V all(typename V::Scalar value) {
  V a;
  set(a, value);
  return a;
}

template <typename V>
ALWAYS_INLINE V polynomial(V, V sum) {
  return sum;
}
// Horner's rule, the highest coefficient first.
template <typename V, typename... Rest>
ALWAYS_INLINE V polynomial(V r, V sum, typename V::Scalar coefficient, Rest... rest) {
  return polynomial(r, multiplyAdd(sum, r, all<V>(coefficient)), rest...);
}

// exp(-r) times a number that is in the table, inverted: of all numbers, one that leaves 2^(j / steps) / number so
// near a float, for every j, that the table's rounding is next to nothing; and one under 2, where floats are densest.
// Of the table's entries, j's place in the bits is taken off: n is added to them with all its bits. `power` is
// 2^(n / steps) over that number.
template <typename Scalar, size_t steps>
struct Exp;

template <>
struct Exp<float, 1> {
  static constexpr float rounder = 12582912.0f + 127.0f;  // its lowest bits are 2^n's exponent
  static constexpr float ln2High = 0x1.62e4p-1f;
  static constexpr float ln2Low = 1.42860682e-6f;

  template <typename V>
  static ALWAYS_INLINE V ofMinus(V r) {  // relative error 1e-8
    return polynomial(r, all<V>(0.00139262135f), -0.00836320297f, 0.0416665544f, -0.166665768f, 0.5f, -1.0f, 1.0f);
  }
  template <typename V>
  static ALWAYS_INLINE V power(V biased) {
    return lowBitsToExponent(biased);
  }
};

template <>
struct Exp<float, 8> {
  static constexpr float rounder = 12582912.0f;
  static constexpr float ln2High = 0x1.62ep-4f;
  static constexpr float ln2Low = 3.993273e-6f;

  template <typename V>
  static ALWAYS_INLINE V ofMinus(V r) {  // 2e-8
    return polynomial(r, all<V>(-0.31374893f), 0.94148254f, -1.8826705f, 1.8826704f);
  }
  template <typename V>
  static ALWAYS_INLINE V power(V biased) {
    static constexpr float table[8] = {0.5311604f, 0.51673454f, 0.50665975f, 0.50132984f,
                                       0.5011743f, 0.50666136f, 0.5183018f,  0.5366525f};
    return tablePower(V::load(table), biased);
  }
};

template <>
struct Exp<float, 16> {
  static constexpr float rounder = 12582912.0f;
  static constexpr float ln2High = 0x1.62ep-5f;
  static constexpr float ln2Low = 1.9966365e-6f;

  template <typename V>
  static ALWAYS_INLINE V ofMinus(V r) {  // 1e-9
    return polynomial(r, all<V>(-0.31941402f), 0.9583021f, -1.9165292f, 1.9165292f);
  }
  template <typename V>
  static ALWAYS_INLINE V power(V biased) {
    static constexpr float table[16] = {0.52177656f, 0.5136276f, 0.5065014f,  0.5004432f,  0.4977502f,  0.49586114f,
                                        0.49458024f, 0.4939344f, 0.49395174f, 0.49466163f, 0.49609473f, 0.49828306f,
                                        0.5025201f,  0.5101212f, 0.51944244f, 0.5305599f};
    return tablePower(V::load(table), biased);
  }
};

template <>
struct Exp<double, 1> {
  static constexpr double rounder = 6755399441055744.0 + 1023.0;
  static constexpr double ln2High = 0.6931471803691238;
  static constexpr double ln2Low = 1.908214929270587816e-10;

  template <typename V>
  static ALWAYS_INLINE V ofMinus(V r) {  // 2e-17
    return polynomial(r, all<V>(-2.51004241570050668e-8), 2.76201387197339956e-7, -2.75572683786841929e-6,
                      0.0000248015211902177277, -0.000198412698631059687, 0.00138888889172817933,
                      -0.00833333333333005135, 0.0416666666666239915, -0.166666666666666675, 0.500000000000000103, -1.0,
                      1.0);
  }
  template <typename V>
  static ALWAYS_INLINE V power(V biased) {
    return lowBitsToExponent(biased);
  }
};

// exp(-least) is Inf; exp(-most) is beside 1 nothing, and still no less than the power of two can be.
template <typename Scalar>
struct SiluLimits;
template <>
struct SiluLimits<float> {
  static constexpr float least = -89.0f;
  static constexpr float most = 87.0f;
};
template <>
struct SiluLimits<double> {
  static constexpr double least = -710.0;
  static constexpr double most = 708.0;
};

template <typename V>
ALWAYS_INLINE V silu(V v) {
  using Scalar = typename V::Scalar;
  using Limits = SiluLimits<Scalar>;
  using E = Exp<Scalar, V::tableLanes>;
  constexpr double stepsPerUnit = -1.442695040888963407 * static_cast<double>(V::tableLanes);
  const V limited = atMost(all<V>(Limits::most), atLeast(all<V>(Limits::least), v));
  const V rounder = all<V>(E::rounder);
  const V biased = multiplyAdd(limited, all<V>(static_cast<Scalar>(stepsPerUnit)), rounder);
  const V n = biased - rounder;
  const V nearly = multiplyAdd(n, all<V>(E::ln2High), limited);
  const V r = multiplyAdd(n, all<V>(E::ln2Low), nearly);
  return v / multiplyAdd(E::ofMinus(r), E::power(biased), all<V>(1));
}

}  // namespace
}  // namespace group_norm
