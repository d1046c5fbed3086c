#include "rows.h"

#include <cmath>

#include "wide.h"

namespace group_norm {
namespace {

const void* offset(const void* base, size_t bytes) { return base ? static_cast<const char*>(base) + bytes : nullptr; }

}  // namespace

size_t bytesOf(DType dtype) noexcept {
  switch (dtype) {
    case DType::float32:
      return 4;
    case DType::float64:
      return 8;
    default:
      return 2;
  }
}

Standard standardOf(const Moments& moments, double epsilon) {
  const double variance = moments.squares / moments.count;
  const double centre = moments.mean * moments.mean < variance / 16 ? 0 : moments.mean;
  return {moments.mean, centre, 1 / std::sqrt(variance + epsilon)};
}

Rows::Rows(const Problem& problem, const Kernels& kernels, bool streaming)
    : problem_(problem),
      kernels_(kernels.byDType[static_cast<size_t>(problem.dtype)]),
      elementBytes_(bytesOf(problem.dtype)),
      count_(static_cast<size_t>(problem.batch * problem.groups)),
      length_(static_cast<size_t>(problem.channels / problem.groups * problem.spatial)),
      channels_(problem.perGroupAffine ? 1 : static_cast<size_t>(problem.channels / problem.groups)),
      spatial_(length_ / channels_),
      largestScale_(largestMagnitude(problem.dtype, problem.scale, static_cast<size_t>(problem.groups) * channels_)),
      leastSquares_(problem.epsilon < 1e-15 ? kVanishingSquares : 0),
      streaming_(streaming) {}

Moments Rows::chunkMoments(size_t row, size_t chunkIndex) const {
  const size_t begin = chunkIndex * chunk;
  const size_t rest = length_ - begin;
  const void* x = offset(problem_.x, (row * length_ + begin) * elementBytes_);
  return kernels_.moments(x, rest < chunk ? rest : chunk, leastSquares_);
}

void Rows::normalizeChunk(size_t row, size_t chunkIndex, const Moments& ofRow) const {
  const size_t begin = chunkIndex * chunk;
  const size_t end = begin + chunk;
  normalize(at(row, ofRow), begin, end < length_ ? end : length_);
}

void Rows::normalizeWhole(size_t row) const {
  Moments moments = chunkMoments(row, 0);
  for (size_t i = 1; i < chunksEach(); ++i) moments = merge(moments, chunkMoments(row, i));
  const Row whole = at(row, moments);
  // Backwards: the end of a row that the caches cannot hold is what they hold last.
  for (size_t i = chunksEach(); i-- > 0;) {
    const size_t end = (i + 1) * chunk;
    normalize(whole, i * chunk, end < length_ ? end : length_);
  }
}

Row Rows::at(size_t row, const Moments& moments) const {
  const size_t group = row % static_cast<size_t>(problem_.groups);
  const size_t elements = row * length_ * elementBytes_;
  const size_t affine = group * channels_ * elementBytes_;
  const Standard standard = standardOf(moments, problem_.epsilon);
  return {
      offset(problem_.x, elements),
      offset(problem_.residual, elements),
      static_cast<char*>(problem_.y) + elements,
      offset(problem_.scale, affine),
      offset(problem_.bias, affine),
      channels_,
      spatial_,
      standard.mean,
      standard.centre,
      standard.rstd,
      problem_.activation,
      streaming_,
  };
}

void Rows::normalize(const Row& row, size_t begin, size_t end) const {
  if (needsWide(problem_.dtype, row.rstd, largestScale_)) return wideNormalize(problem_.dtype, row, begin, end);
  kernels_.normalize(row, begin, end);
}

}  // namespace group_norm
