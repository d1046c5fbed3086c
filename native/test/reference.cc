#include "reference.h"

#include "check.h"

using group_norm::Activation;
using group_norm::DType;

namespace {

size_t affineLength(const Shape& shape, const Options& options) {
  return static_cast<size_t>(options.perGroupAffine ? shape.groups : shape.channels);
}

// Half the distance between neighbouring numbers of arithmetic, relative: float's for the 16-bit types.
long double roundingOf(DType dtype) { return dtype == DType::float64 ? 0x1p-53L : 0x1p-24L; }

// What storing a result costs: half the distance to its neighbours, subnormal numbers included.
long double storageRounding(DType dtype, long double value) {
  if (dtype == DType::float16) return 0x1p-11L * std::fabs(value) + 0x1p-25L;
  if (dtype == DType::bfloat16) return 0x1p-8L * std::fabs(value) + 0x1p-134L;
  return 0;
}

long double largestOf(DType dtype) {
  if (dtype == DType::float64) return std::numeric_limits<double>::max();
  if (dtype == DType::float16) return 65504;
  return dtype == DType::bfloat16 ? 0x1.FEp127L : std::numeric_limits<float>::max();
}

long double activate(long double v, Activation activation) {
  if (activation == Activation::relu) return v < 0 ? 0 : v;
  if (activation == Activation::silu) return v / (1 + std::exp(-v));
  return v;
}

}  // namespace

size_t Shape::at(size_t item, size_t channel, size_t position) const {
  const size_t padded = static_cast<size_t>(paddedChannels());
  const size_t length = static_cast<size_t>(spatial);
  if (block == 0) return (item * padded + channel) * length + position;
  const size_t lanes = static_cast<size_t>(block);
  return (item * padded + channel / lanes * lanes) * length + position * lanes + channel % lanes;
}

Case::Case(Shape s, Options o, uint64_t seed)
    : shape(s),
      options(o),
      x(o.dtype, s.elements(), o.shift),
      residual(o.dtype, o.residual ? s.elements() : 0, o.shift),
      scale(o.dtype, affineLength(s, o), o.shift),
      bias(o.dtype, affineLength(s, o), o.shift),
      y(o.dtype, s.elements(), o.shift) {
  std::mt19937_64 random(seed);
  const auto uniform = [&] { return static_cast<double>(random() >> 11) * 0x1p-53 * 2 - 1; };
  for (size_t i = 0; i < x.count(); ++i) x.set(i, o.mean + o.deviation * 1.7 * uniform());
  for (size_t i = 0; i < residual.count(); ++i) residual.set(i, uniform());
  for (size_t i = 0; i < scale.count(); ++i) scale.set(i, 1 + uniform());
  for (size_t i = 0; i < bias.count(); ++i) bias.set(i, 2 * uniform());
  forEachPadding([&](size_t at) {
    x.set(at, std::numeric_limits<double>::quiet_NaN());
    if (o.residual) residual.set(at, std::numeric_limits<double>::infinity());
    y.set(at, 1);
  });
}

group_norm::Problem Case::problem() {
  group_norm::Problem p;
  p.dtype = options.dtype;
  p.x = x.data();
  p.residual = options.residual ? residual.data() : nullptr;
  p.scale = scale.data();
  p.bias = bias.data();
  p.batch = shape.batch;
  p.channels = shape.channels;
  p.spatial = shape.spatial;
  p.groups = shape.groups;
  p.block = shape.block;
  p.perGroupAffine = options.perGroupAffine;
  p.epsilon = options.epsilon;
  p.correction = options.correction;
  p.activation = options.activation;
  p.y = y.data();
  return p;
}

void Case::run(const group_norm::Threads& threads) {
  CHECK(group_norm::run(problem(), threads) == group_norm::Outcome::done, describe(*this));
}

// In units of the arithmetic's rounding u, to first order, z being the normalised value:
//   u each for x - mean, scale * rstd, its product, the sums with bias and residual; about u/2 for the statistics,
//   whose many roundings are independent. 4 u of the sum of the terms' magnitudes covers them. float64 has nothing
//   wider to take the statistics and their root in: 8 u, and u * |mean| * rstd for the mean's own rounding.
//   A mean of up to a quarter of the deviation is taken from the bias: u of a quarter of the scale, and the statistics'
//   own error. SiLU's slope is at most 1.1, its own error 4 u.
void Case::verify(const std::string& what) const {
  const long double u = roundingOf(options.dtype);
  const size_t rows = static_cast<size_t>(shape.batch * shape.groups);
  const size_t groups = static_cast<size_t>(shape.groups);
  const size_t groupChannels = static_cast<size_t>(shape.channels) / groups;
  const size_t spatial = static_cast<size_t>(shape.spatial);
  const size_t length = groupChannels * spatial;
  for (size_t row = 0; row < rows; ++row) {
    const size_t group = row % groups;
    const auto place = [&](size_t i) {
      return shape.at(row / groups, group * groupChannels + i / spatial, i % spatial);
    };
    long double mean = 0;
    for (size_t i = 0; i < length; ++i) mean += x.get(place(i));
    mean /= static_cast<long double>(length);
    long double variance = 0;
    for (size_t i = 0; i < length; ++i) {
      const long double deviation = x.get(place(i)) - mean;
      variance += deviation * deviation;
    }
    variance /= static_cast<long double>(length) - static_cast<long double>(options.correction);
    const long double rstd = 1 / std::sqrt(variance + static_cast<long double>(options.epsilon));
    const long double meanError = options.dtype == DType::float64 ? u * std::fabs(mean) * rstd : 0;

    for (size_t i = 0; i < length; ++i) {
      const size_t at = place(i);
      const size_t channel = group * groupChannels + i / spatial;
      const size_t affine = options.perGroupAffine ? group : channel;
      const long double z = (x.get(at) - mean) * rstd;
      const long double added = options.residual ? residual.get(at) : 0;
      const long double v = z * scale.get(affine) + bias.get(affine) + added;
      const long double expected = activate(v, options.activation);
      const long double terms =
          std::fabs(static_cast<long double>(scale.get(affine))) * (std::fabs(z) + 0.25L + meanError / u) +
          std::fabs(static_cast<long double>(bias.get(affine))) + std::fabs(added);
      long double tolerance = (options.dtype == DType::float64 ? 8 : 4) * u * terms;
      if (options.activation == Activation::silu) tolerance = 1.1L * tolerance + 4 * u * std::fabs(expected);
      tolerance += storageRounding(options.dtype, expected) * 1.001L;
      const long double actual = y.get(at);
      const bool overflows = std::fabs(expected) - tolerance > largestOf(options.dtype);
      const bool same = std::isnan(expected) ? std::isnan(actual)
                        : overflows          ? std::isinf(actual) && std::signbit(actual) == std::signbit(expected)
                                             : std::fabs(actual - expected) <= tolerance;
      CHECK(same, what << " " << describe(*this) << " element " << at << ": " << actual << ", expected " << expected
                       << " within " << tolerance);
    }
  }
  forEachPadding([&](size_t at) {
    CHECK(y.get(at) == 0 && !std::signbit(y.get(at)), what << " " << describe(*this) << " padding " << at);
  });
}

void Case::forEachPadding(const std::function<void(size_t)>& body) const {
  for (size_t item = 0; item < static_cast<size_t>(shape.batch); ++item) {
    for (size_t channel = static_cast<size_t>(shape.channels); channel < static_cast<size_t>(shape.paddedChannels());
         ++channel) {
      for (size_t i = 0; i < static_cast<size_t>(shape.spatial); ++i) body(shape.at(item, channel, i));
    }
  }
}

std::string describe(const Case& c) {
  static const char* activations[] = {"", " relu", " silu"};
  std::ostringstream text;
  text << nameOf(c.options.dtype) << " " << c.shape.batch << "x" << c.shape.channels << "x" << c.shape.spatial
       << " groups " << c.shape.groups << " block " << c.shape.block
       << activations[static_cast<size_t>(c.options.activation)] << (c.options.residual ? " residual" : "")
       << (c.options.perGroupAffine ? " per-group" : "") << " mean " << c.options.mean << " deviation "
       << c.options.deviation << " epsilon " << c.options.epsilon << " correction " << c.options.correction;
  return text.str();
}
