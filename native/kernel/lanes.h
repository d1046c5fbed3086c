// 16 bytes of lanes that GCC and Clang turn into one SIMD register: SSE2 on x86-64, NEON on ARM.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace group_norm {
namespace {

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

}  // namespace
}  // namespace group_norm
