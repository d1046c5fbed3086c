// 16 bytes of lanes that any compiler turns into one SIMD register: SSE2 on x86-64, NEON on ARM.
// GCC and Clang do it by their vector types, other compilers by vectorising short loops.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace group_norm {
namespace {

#if defined(__GNUC__)

typedef float FloatLanes __attribute__((vector_size(16)));
typedef double DoubleLanes __attribute__((vector_size(16)));
typedef uint32_t FloatBits __attribute__((vector_size(16)));
typedef uint64_t DoubleBits __attribute__((vector_size(16)));

inline FloatLanes larger(FloatLanes limit, FloatLanes a) { return a < limit ? limit : a; }
inline FloatLanes smaller(FloatLanes limit, FloatLanes a) { return a > limit ? limit : a; }
inline DoubleLanes larger(DoubleLanes limit, DoubleLanes a) { return a < limit ? limit : a; }
inline DoubleLanes smaller(DoubleLanes limit, DoubleLanes a) { return a > limit ? limit : a; }

inline FloatLanes shiftedLeft(FloatLanes a, int by) {
  FloatBits bits;
  std::memcpy(&bits, &a, sizeof bits);
  bits = bits << static_cast<uint32_t>(by);
  std::memcpy(&a, &bits, sizeof a);
  return a;
}
inline DoubleLanes shiftedLeft(DoubleLanes a, int by) {
  DoubleBits bits;
  std::memcpy(&bits, &a, sizeof bits);
  bits = bits << static_cast<uint64_t>(by);
  std::memcpy(&a, &bits, sizeof a);
  return a;
}

// bfloat16's bits to those of the same numbers in float, and back, as narrowToBFloat16 rounds.
typedef uint16_t ShortBits __attribute__((vector_size(8)));

inline FloatBits widened(ShortBits bits) { return __builtin_convertvector(bits, FloatBits) << 16u; }
inline ShortBits narrowed(FloatBits bits) {
  const FloatBits rounded = bits + 0x7FFFu + ((bits >> 16u) & 1u);
  const FloatBits chosen = (bits & 0x7FFFFFFFu) > 0x7F800000u ? bits | 0x400000u : rounded;
  return __builtin_convertvector(chosen >> 16u, ShortBits);
}

#else

template <typename Scalar, typename Bits>
struct Lanes {
  static constexpr size_t count = 16 / sizeof(Scalar);
  Scalar lane[count];
  Scalar operator[](size_t i) const { return lane[i]; }
  Scalar& operator[](size_t i) { return lane[i]; }

  template <typename Function>
  static Lanes each(Function function) {
    Lanes result;
    for (size_t i = 0; i < count; ++i) result.lane[i] = function(i);
    return result;
  }
  friend Lanes operator+(Lanes a, Lanes b) {
    return each([&](size_t i) { return a[i] + b[i]; });
  }
  friend Lanes operator-(Lanes a, Lanes b) {
    return each([&](size_t i) { return a[i] - b[i]; });
  }
  friend Lanes operator*(Lanes a, Lanes b) {
    return each([&](size_t i) { return a[i] * b[i]; });
  }
  friend Lanes operator/(Lanes a, Lanes b) {
    return each([&](size_t i) { return a[i] / b[i]; });
  }
  friend Lanes larger(Lanes limit, Lanes a) {
    return each([&](size_t i) { return a[i] < limit[i] ? limit[i] : a[i]; });
  }
  friend Lanes smaller(Lanes limit, Lanes a) {
    return each([&](size_t i) { return a[i] > limit[i] ? limit[i] : a[i]; });
  }
  friend Lanes shiftedLeft(Lanes a, int by) {
    return each([&](size_t i) {
      Bits bits;
      std::memcpy(&bits, &a.lane[i], sizeof bits);
      bits <<= by;
      Scalar shifted;
      std::memcpy(&shifted, &bits, sizeof shifted);
      return shifted;
    });
  }
};

using FloatLanes = Lanes<float, uint32_t>;
using DoubleLanes = Lanes<double, uint64_t>;

#endif

}  // namespace
}  // namespace group_norm
