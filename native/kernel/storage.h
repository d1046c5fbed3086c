// The 16-bit element types as they lie in memory, and one element of any type to and from its arithmetic type.
//
// Every function here is static: files compiled for different instruction sets include this one, and a function
// that they shared could reach the portable path with AVX in it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace group_norm {

struct Half {
  uint16_t bits;
};
struct BFloat16 {
  uint16_t bits;
};

static inline uint32_t bitsOf(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  return bits;
}

static inline float floatOf(uint32_t bits) {
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

// Half to float without a subnormal float on the way, so that it also holds where denormals are flushed to zero.
static inline float widen(Half half) {
  const uint32_t word = static_cast<uint32_t>(half.bits) << 16;
  const uint32_t twice = word + word;
  const float normal = floatOf((twice >> 4) + (0xE0u << 23)) * 0x1p-112f;
  const float subnormal = floatOf((twice >> 17) | (126u << 23)) - 0.5f;
  const uint32_t magnitude = twice < (1u << 27) ? bitsOf(subnormal) : bitsOf(normal);
  return floatOf((word & 0x80000000u) | magnitude);
}

static inline float widen(BFloat16 value) { return floatOf(static_cast<uint32_t>(value.bits) << 16); }

// Round to nearest even. The additions of a bias with the exponent of the result do the rounding.
static inline Half narrowToHalf(float value) {
  const uint32_t bits = bitsOf(value);
  const uint32_t twice = bits + bits;
  const uint32_t sign = bits & 0x80000000u;
  const float magnitude = floatOf(bits & 0x7FFFFFFFu) * 0x1p112f * 0x1p-110f;  // what is too large becomes Inf
  uint32_t bias = twice & 0xFF000000u;
  bias = bias < 0x71000000u ? 0x71000000u : bias;
  const uint32_t rounded = bitsOf(floatOf((bias >> 1) + 0x07800000u) + magnitude);
  const uint32_t finite = ((rounded >> 13) & 0x7C00u) + (rounded & 0x0FFFu);
  const uint32_t result = (sign >> 16) | (twice > 0xFF000000u ? 0x7E00u : finite);
  return {static_cast<uint16_t>(result)};
}

static inline BFloat16 narrowToBFloat16(float value) {
  const uint32_t bits = bitsOf(value);
  const bool nan = (bits & 0x7FFFFFFFu) > 0x7F800000u;  // rounding could carry it into Inf
  const uint32_t rounded = bits + 0x7FFFu + ((bits >> 16) & 1u);
  return {static_cast<uint16_t>((nan ? bits | 0x400000u : rounded) >> 16)};
}

static inline float widen(float value) { return value; }
static inline double widen(double value) { return value; }

// The i-th element of a tensor that need not be aligned, in its arithmetic type.
template <typename T>
static inline auto get(const T* elements, size_t i) {
  T element;
  std::memcpy(&element, reinterpret_cast<const char*>(elements) + i * sizeof(T), sizeof(T));
  return widen(element);
}

template <typename T>
static inline void put(T* elements, size_t i, T element) {
  std::memcpy(reinterpret_cast<char*>(elements) + i * sizeof(T), &element, sizeof(T));
}

}  // namespace group_norm
