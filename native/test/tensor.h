// Elements of any dtype at any address, seen as double. The 16-bit types are read by their definition, not by the
// kernel's conversions.
#pragma once

#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "../kernel/group_norm.h"
#include "../kernel/storage.h"

inline const group_norm::DType kDTypes[] = {group_norm::DType::float32, group_norm::DType::float64,
                                            group_norm::DType::float16, group_norm::DType::bfloat16};

inline const char* nameOf(group_norm::DType dtype) {
  static const char* names[] = {"float32", "float64", "float16", "bfloat16"};
  return names[static_cast<size_t>(dtype)];
}

// The value of sign, exponent and mantissa as IEEE 754 defines it.
inline double decode(unsigned bits, int mantissaBits, int exponentBits) {
  const int mantissa = static_cast<int>(bits & ((1u << mantissaBits) - 1));
  const int exponent = static_cast<int>((bits >> mantissaBits) & ((1u << exponentBits) - 1));
  const int bias = (1 << (exponentBits - 1)) - 1;
  const double sign = (bits >> (mantissaBits + exponentBits)) & 1u ? -1.0 : 1.0;
  if (exponent == (1 << exponentBits) - 1) {
    return mantissa ? std::numeric_limits<double>::quiet_NaN() : sign * std::numeric_limits<double>::infinity();
  }
  const int implicit = exponent == 0 ? 0 : 1 << mantissaBits;
  return sign * std::ldexp(mantissa + implicit, (exponent == 0 ? 1 : exponent) - bias - mantissaBits);
}

class Tensor {
 public:
  // `shift` bytes off the alignment that memory comes with.
  Tensor(group_norm::DType dtype, size_t count, size_t shift = 0)
      : dtype_(dtype), count_(count), shift_(shift), bytes_(count * size() + shift) {}

  void* data() { return bytes_.data() + shift_; }
  const void* data() const { return bytes_.data() + shift_; }
  size_t count() const { return count_; }
  size_t size() const {
    return dtype_ == group_norm::DType::float64 ? 8 : dtype_ == group_norm::DType::float32 ? 4 : 2;
  }

  double get(size_t i) const {
    switch (dtype_) {
      case group_norm::DType::float64:
        return as<double>(i);
      case group_norm::DType::float32:
        return static_cast<double>(as<float>(i));
      case group_norm::DType::float16:
        return decode(as<uint16_t>(i), 10, 5);
      default:
        return decode(as<uint16_t>(i), 7, 8);
    }
  }

  void set(size_t i, double value) {
    switch (dtype_) {
      case group_norm::DType::float64:
        return put(i, value);
      case group_norm::DType::float32:
        return put(i, static_cast<float>(value));
      case group_norm::DType::float16:
        return put(i, group_norm::narrowToHalf(static_cast<float>(value)));
      default:
        return put(i, group_norm::narrowToBFloat16(static_cast<float>(value)));
    }
  }

  bool sameBytes(const Tensor& other) const { return bytes_ == other.bytes_; }

 private:
  template <typename T>
  T as(size_t i) const {
    T value;
    std::memcpy(&value, bytes_.data() + shift_ + i * sizeof(T), sizeof(T));
    return value;
  }
  template <typename T>
  void put(size_t i, T value) {
    std::memcpy(bytes_.data() + shift_ + i * sizeof(T), &value, sizeof(T));
  }

  group_norm::DType dtype_;
  size_t count_;
  size_t shift_;
  std::vector<unsigned char> bytes_;
};
