// A problem as rows: one row is one group of one batch item, contiguous in memory, normalised by itself.
#pragma once

#include "kernels.h"

namespace group_norm {

// What the elements of a group are normalised with.
struct Standard {
  double mean;
  double centre;  // see Row
  double rstd;
};
Standard standardOf(const Moments& moments, double epsilon);

class Rows {
 public:
  using Statistics = Moments;

  // Statistics are taken of chunks of this many elements and merged in order, however many threads there are: that
  // makes the result the same for every number of threads.
  static constexpr size_t chunk = 16384;

  Rows(const Problem& problem, const Kernels& kernels, bool streaming);

  size_t count() const { return count_; }
  size_t length() const { return length_; }
  size_t chunksEach() const { return (length_ + chunk - 1) / chunk; }
  size_t bytesEach() const { return length_ * elementBytes_; }

  Moments chunkMoments(size_t row, size_t chunkIndex) const;
  void normalizeChunk(size_t row, size_t chunkIndex, const Moments& ofRow) const;

  // Statistics and output of one row, so that the output finds the row in the caches.
  void normalizeWhole(size_t row) const;

 private:
  Row at(size_t row, const Moments& moments) const;
  void normalize(const Row& row, size_t begin, size_t end) const;

  const Problem& problem_;
  const TypeKernels& kernels_;
  const size_t elementBytes_;
  const size_t count_;
  const size_t length_;
  const size_t channels_;  // of a row; 1 if they share scale and bias
  const size_t spatial_;   // elements of such a channel
  const double largestScale_;
  const double leastSquares_;
  const bool streaming_;
};

}  // namespace group_norm
