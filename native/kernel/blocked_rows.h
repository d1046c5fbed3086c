// A problem in blocked layout as rows: one row is the fewest blocks of one batch item that hold whole groups only,
// contiguous in memory, normalised by itself.
#pragma once

#include "rows.h"

namespace group_norm {

class BlockedRows {
 public:
  // Of each group of a row. A row has no more groups than a block has channels: it ends where the end of a group meets
  // the end of a block, which is at the least common multiple of their channels.
  struct Statistics {
    Moments groups[kMostLanes];
  };

  BlockedRows(const Problem& problem, const Kernels& kernels, bool streaming);

  size_t count() const { return count_; }
  size_t length() const { return blocks_ * blockLength_; }
  size_t chunksEach() const { return blocks_ * chunksOfBlock_; }
  size_t bytesEach() const { return length() * sizeof(float); }

  Statistics chunkMoments(size_t row, size_t chunk) const;
  void normalizeChunk(size_t row, size_t chunk, const Statistics& ofRow) const;

  // Statistics and output of rows begin .. end - 1, each at once, so that the output finds its blocks in the caches: a
  // block is written as soon as the statistics of its groups are known.
  void normalizeRows(size_t begin, size_t end) const {
    for (size_t row = begin; row < end; ++row) normalizeWhole(row);
  }

 private:
  void normalizeWhole(size_t row) const;
  struct Stretch;
  Stretch at(size_t row, size_t chunk) const;
  void addChunk(size_t row, size_t chunk, Statistics& ofRow) const;
  void normalizeWide(const Stretch& s, const Statistics& ofRow) const;
  void normalizeWideLane(const Stretch& s, size_t lane, const Standard& standard) const;
  void clearPadding(const Stretch& s) const;

  const Problem& problem_;
  const BlockKernels& kernels_;
  const size_t block_;
  const size_t channels_;
  const size_t groupChannels_;
  const size_t blocksOfItem_;
  const size_t blocks_;  // of a row; the last row of a batch item may have fewer
  const size_t rowsOfItem_;
  const size_t count_;
  const size_t blockLength_;  // elements
  const size_t chunksOfBlock_;
  const double largestScale_;
  const double leastSquares_;
  const bool streaming_;
};

BlockedRows::Statistics merge(const BlockedRows::Statistics& a, const BlockedRows::Statistics& b);

}  // namespace group_norm
