#include "rows.h"

#include <cmath>

#include "wide.h"

namespace group_norm {
namespace {

RowSet rowsOf(const Problem& p, bool streaming) {
  const size_t groups = static_cast<size_t>(p.groups);
  const size_t channels = p.perGroupAffine ? 1 : static_cast<size_t>(p.channels / p.groups);
  const size_t length = static_cast<size_t>(p.channels / p.groups * p.spatial);
  const double leastSquares = p.epsilon < 1e-15 ? kVanishingSquares : 0;
  const double largestScale = largestMagnitude(p.dtype, p.scale, groups * channels);
  return {p.x,          p.residual,        p.y,       p.scale,      p.bias,       groups,       length,
          channels,     length / channels, p.epsilon, p.correction, leastSquares, largestScale, p.dtype,
          p.activation, streaming};
}

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

Standard standardOf(const Moments& moments, double epsilon, double correction) {
  const double variance = moments.squares / (moments.count - correction);
  const double centre = moments.mean * moments.mean < variance / 4 ? 0 : moments.mean;
  return {moments.mean, centre, 1 / std::sqrt(variance + epsilon)};
}

Rows::Rows(const Problem& problem, const Kernels& kernels, bool streaming)
    : set_(rowsOf(problem, streaming)),
      kernels_(kernels.byDType[static_cast<size_t>(problem.dtype)]),
      elementBytes_(bytesOf(problem.dtype)),
      count_(static_cast<size_t>(problem.batch * problem.groups)) {}

Moments Rows::chunkMoments(size_t row, size_t chunkIndex) const {
  const size_t begin = chunkIndex * chunk;
  const size_t rest = length() - begin;
  const char* x = static_cast<const char*>(set_.x) + (row * length() + begin) * elementBytes_;
  return kernels_.moments(x, rest < chunk ? rest : chunk, set_.leastSquares);
}

void Rows::normalizeChunk(size_t row, size_t chunkIndex, const Moments& ofRow) const {
  const size_t begin = chunkIndex * chunk;
  const size_t end = begin + chunk;
  normalize(at(row, ofRow), begin, end < length() ? end : length());
}

void Rows::normalizeRows(size_t begin, size_t end) const {
  if (length() <= kShortRow) return kernels_.shortRows(set_, begin, end);
  for (size_t row = begin; row < end; ++row) normalizeWhole(row);
}

void Rows::normalizeWhole(size_t row) const {
  Moments moments = chunkMoments(row, 0);
  for (size_t i = 1; i < chunksEach(); ++i) moments = merge(moments, chunkMoments(row, i));
  const Row whole = at(row, moments);
  // Backwards: the end of a row that the caches cannot hold is what they hold last.
  for (size_t i = chunksEach(); i-- > 0;) {
    const size_t end = (i + 1) * chunk;
    normalize(whole, i * chunk, end < length() ? end : length());
  }
}

Row Rows::at(size_t row, const Moments& moments) const {
  return rowOf(set_, elementBytes_, row, standardOf(moments, set_.epsilon, set_.correction));
}

void Rows::normalize(const Row& row, size_t begin, size_t end) const {
  if (needsWide(set_.dtype, row.standard.rstd, set_.largestScale)) {
    return wideNormalize(set_.dtype, row, begin, end);
  }
  kernels_.normalize(row, begin, end);
}

}  // namespace group_norm
