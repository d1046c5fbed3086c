// Conversions of the 16-bit types, exhaustively, and SiLU's accuracy in units of the last place.
#include <cinttypes>

#include "check.h"
#include "reference.h"

using group_norm::BFloat16;
using group_norm::DType;
using group_norm::Half;

namespace {

bool same(double a, double b) { return std::isnan(a) ? std::isnan(b) : a == b && std::signbit(a) == std::signbit(b); }

TEST(sixteenBitsToFloat) {
  for (unsigned bits = 0; bits < 65536; ++bits) {
    const uint16_t word = static_cast<uint16_t>(bits);
    CHECK(same(static_cast<double>(group_norm::widen(Half{word})), decode(bits, 10, 5)), "float16 " << bits);
    CHECK(same(static_cast<double>(group_norm::widen(BFloat16{word})), decode(bits, 7, 8)), "bfloat16 " << bits);
  }
}

// The nearer neighbour; of two as near, the even one. Around every number, its neighbours' middle.
template <typename T>
void roundsToNearestEven(T (*narrow)(float), int mantissaBits, int exponentBits) {
  const unsigned infinity = ((1u << exponentBits) - 1) << mantissaBits;
  for (unsigned bits = 0; bits < infinity; ++bits) {
    const double low = decode(bits, mantissaBits, exponentBits);
    const double high = bits + 1 == infinity ? 2 * low - decode(bits - 1, mantissaBits, exponentBits)
                                             : decode(bits + 1, mantissaBits, exponentBits);
    const float middle = static_cast<float>((low + high) / 2);
    if (static_cast<double>(middle) != (low + high) / 2) continue;  // below what float holds
    const unsigned even = bits % 2 == 0 ? bits : bits + 1;
    CHECK(narrow(static_cast<float>(low)).bits == bits, low);
    CHECK(narrow(middle).bits == even, middle);
    CHECK(narrow(std::nextafter(middle, 0.0f)).bits == bits, "below " << middle);
    CHECK(narrow(std::nextafter(middle, HUGE_VALF)).bits == bits + 1, "above " << middle);
    CHECK(narrow(-middle).bits == (even | 0x8000u), -middle);
  }
  CHECK(narrow(HUGE_VALF).bits == infinity, "Inf");
  CHECK(std::isnan(decode(narrow(std::nanf("")).bits, mantissaBits, exponentBits)), "NaN");
}

TEST(floatToSixteenBits) {
  roundsToNearestEven(group_norm::narrowToHalf, 10, 5);
  roundsToNearestEven(group_norm::narrowToBFloat16, 7, 8);
}

// A group of one element is its bias; the kernel's own conversions then see every 16-bit number.
TEST(everySixteenBitNumberPassesThrough) {
  forEachInstructionSet([&](const std::string& set) {
    for (DType dtype : {DType::float16, DType::bfloat16}) {
      Options options;
      options.dtype = dtype;
      Case c({1, 65536, 1, 65536}, options, 1);
      for (size_t i = 0; i < 65536; ++i) {
        const uint16_t word = static_cast<uint16_t>(i);
        std::memcpy(static_cast<char*>(c.bias.data()) + 2 * i, &word, 2);
      }
      c.run({});
      for (size_t i = 0; i < 65536; ++i) {
        const double expected = c.bias.get(i);
        const double actual = c.y.get(i);
        CHECK(std::isnan(expected) ? std::isnan(actual) : actual == expected, set << " " << i << ": " << actual);
      }
    }
  });
}

// Through the residual: scale and bias 0 leave it alone. The roundings of exp(-v), of 1 + exp(-v) and of the quotient
// are half a unit each of numbers whose unit may be twice the result's: 2.5 in all.
TEST(siluIsWithinTwoAndAHalfUnitsInTheLastPlace) {
  forEachInstructionSet([&](const std::string& set) {
    for (DType dtype : {DType::float32, DType::float64}) {
      const bool single = dtype == DType::float32;
      const double least = single ? -87.0 : -700.0;
      const size_t count = 40000;
      Options options;
      options.dtype = dtype;
      options.residual = true;
      options.activation = group_norm::Activation::silu;
      Case c({1, 1, static_cast<int64_t>(count), 1}, options, 9);
      c.scale.set(0, 0);
      c.bias.set(0, 0);
      for (size_t i = 0; i < count; ++i) {
        c.residual.set(i, least + static_cast<double>(i) * (20 - least) / static_cast<double>(count));
      }
      c.run({});
      double worst = 0;
      double worstAt = 0;
      for (size_t i = 0; i < count; ++i) {
        const long double v = c.residual.get(i);
        const long double expected = v / (1 + std::exp(-v));
        const int exponent = std::ilogb(expected);
        const long double unit = std::ldexp(1.0L, exponent - (single ? 23 : 52));
        const double error = static_cast<double>(std::fabs(c.y.get(i) - expected) / unit);
        if (error > worst) {
          worst = error;
          worstAt = c.residual.get(i);
        }
      }
      CHECK(worst <= 2.5, set << " " << nameOf(dtype) << ": " << worst << " units at " << worstAt);
    }
  });
}

}  // namespace
