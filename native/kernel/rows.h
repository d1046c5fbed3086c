// A problem as rows: one row is one group of one batch item, contiguous in memory, normalised by itself.
#pragma once

#include "kernels.h"

namespace group_norm {

Standard standardOf(const Moments& moments, double epsilon, double correction);

class Rows {
 public:
  using Statistics = Moments;

  // Statistics are taken of chunks of this many elements and merged in order, however many threads there are: that
  // makes the result the same for every number of threads.
  static constexpr size_t chunk = 16384;

  Rows(const Problem& problem, const Kernels& kernels, bool streaming);

  size_t count() const { return count_; }
  size_t length() const { return set_.length; }
  size_t chunksEach() const { return (length() + chunk - 1) / chunk; }
  size_t bytesEach() const { return length() * elementBytes_; }

  Moments chunkMoments(size_t row, size_t chunkIndex) const;
  void normalizeChunk(size_t row, size_t chunkIndex, const Moments& ofRow) const;

  // Statistics and output of rows begin .. end - 1, each at once, so that the output finds the row in the caches.
  void normalizeRows(size_t begin, size_t end) const;

 private:
  void normalizeWhole(size_t row) const;
  Row at(size_t row, const Moments& moments) const;
  void normalize(const Row& row, size_t begin, size_t end) const;

  const RowSet set_;
  const TypeKernels& kernels_;
  const size_t elementBytes_;
  const size_t count_;
};

}  // namespace group_norm
