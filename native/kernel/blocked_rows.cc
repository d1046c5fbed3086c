#include "blocked_rows.h"

#include <algorithm>
#include <cstring>
#include <numeric>

#include "rows.h"
#include "wide.h"

namespace group_norm {
namespace {

// Positions whose lanes are gathered at a time, to be computed in a wider type.
constexpr size_t kWidePositions = 256;

size_t dividedUp(size_t a, size_t b) { return (a + b - 1) / b; }

// The moments of lanes begin .. end - 1 together: they have the same counts.
Moments together(const LaneMoments& lanes, size_t begin, size_t end) {
  const double width = static_cast<double>(end - begin);
  double mean = 0;
  for (size_t lane = begin; lane < end; ++lane) mean += lanes.mean[lane];
  mean /= width;
  double squares = 0;
  double between = 0;
  for (size_t lane = begin; lane < end; ++lane) {
    const double difference = lanes.mean[lane] - mean;
    squares += lanes.squares[lane];
    between += difference * difference;
  }
  return {lanes.count * width, mean, squares + lanes.count * between};
}

}  // namespace

// A chunk of a row: some positions of one block.
struct BlockedRows::Stretch {
  size_t offset;     // of its first element
  size_t positions;  // 0: the row has no such block
  size_t channel;    // of its first lane
  size_t lanes;      // that are channels, not padding
  size_t rowChannel;

  size_t groupOf(size_t lane, size_t groupChannels) const { return (channel - rowChannel + lane) / groupChannels; }
};

BlockedRows::BlockedRows(const Problem& problem, const Kernels& kernels, bool streaming)
    : problem_(problem),
      kernels_(problem.block == 8 ? kernels.blocksOf8 : kernels.blocksOf16),
      block_(static_cast<size_t>(problem.block)),
      channels_(static_cast<size_t>(problem.channels)),
      groupChannels_(static_cast<size_t>(problem.channels / problem.groups)),
      blocksOfItem_(dividedUp(channels_, block_)),
      blocks_(std::min(blocksOfItem_, groupChannels_ / std::gcd(groupChannels_, block_))),
      rowsOfItem_(dividedUp(blocksOfItem_, blocks_)),
      count_(static_cast<size_t>(problem.batch) * rowsOfItem_),
      blockLength_(static_cast<size_t>(problem.spatial) * block_),
      chunksOfBlock_(dividedUp(blockLength_, Rows::chunk)),
      largestScale_(largestMagnitude(problem.dtype, problem.scale, channels_)),
      leastSquares_(problem.epsilon < 1e-15 ? kVanishingSquares : 0),
      streaming_(streaming) {}

BlockedRows::Stretch BlockedRows::at(size_t row, size_t chunk) const {
  const size_t firstBlock = row % rowsOfItem_ * blocks_;
  const size_t block = firstBlock + chunk / chunksOfBlock_;
  if (block >= blocksOfItem_) return {};
  const size_t begin = chunk % chunksOfBlock_ * Rows::chunk;
  const size_t elements = std::min(Rows::chunk, blockLength_ - begin);
  return {
      (row / rowsOfItem_ * blocksOfItem_ + block) * blockLength_ + begin,
      elements / block_,
      block * block_,
      std::min(block_, channels_ - block * block_),
      firstBlock * block_,
  };
}

BlockedRows::Statistics BlockedRows::chunkMoments(size_t row, size_t chunk) const {
  Statistics result;
  const Stretch s = at(row, chunk);
  if (s.positions == 0) return result;
  const LaneMoments lanes =
      kernels_.moments(static_cast<const float*>(problem_.x) + s.offset, s.positions, leastSquares_);
  for (size_t lane = 0; lane < s.lanes;) {
    const size_t group = s.groupOf(lane, groupChannels_);
    const size_t end = std::min(s.lanes, (group + 1) * groupChannels_ + s.rowChannel - s.channel);
    result.groups[group] = together(lanes, lane, end);
    lane = end;
  }
  return result;
}

void BlockedRows::normalizeChunk(size_t row, size_t chunk, const Statistics& ofRow) const {
  const Stretch s = at(row, chunk);
  if (s.positions == 0) return;
  const float* x = static_cast<const float*>(problem_.x) + s.offset;
  const float* residual = problem_.residual ? static_cast<const float*>(problem_.residual) + s.offset : nullptr;
  float* y = static_cast<float*>(problem_.y) + s.offset;
  const bool padded = s.lanes < block_;
  BlockStretch stretch = {x, residual, y, s.positions, problem_.activation, streaming_ && !padded};
  Standard standard{};
  for (size_t lane = 0, group = kMostLanes; lane < s.lanes; ++lane) {
    const size_t its = s.groupOf(lane, groupChannels_);
    if (its != group) {
      group = its;
      standard = standardOf(ofRow.groups[group], problem_.epsilon);
      if (needsWide(problem_.dtype, standard.rstd, largestScale_)) return normalizeWide(s, ofRow);
    }
    const float centre = static_cast<float>(standard.centre);
    const double scale =
        static_cast<double>(get(static_cast<const float*>(problem_.scale), s.channel + lane)) * standard.rstd;
    const double bias = static_cast<double>(get(static_cast<const float*>(problem_.bias), s.channel + lane));
    stretch.centre[lane] = centre;
    stretch.scale[lane] = static_cast<float>(scale);
    stretch.scaleRest[lane] = static_cast<float>(scale - static_cast<double>(stretch.scale[lane]));
    stretch.bias[lane] = static_cast<float>(bias - (standard.mean - static_cast<double>(centre)) * scale);
  }
  kernels_.normalize(stretch);
  if (padded) clearPadding(s);
}

// Lane by lane, as a row of one channel.
void BlockedRows::normalizeWide(const Stretch& s, const Statistics& ofRow) const {
  for (size_t lane = 0; lane < s.lanes; ++lane) {
    const Standard standard = standardOf(ofRow.groups[s.groupOf(lane, groupChannels_)], problem_.epsilon);
    for (size_t begin = 0; begin < s.positions; begin += kWidePositions) {
      const size_t count = std::min(kWidePositions, s.positions - begin);
      const size_t first = s.offset + begin * block_ + lane;
      float own[kWidePositions], added[kWidePositions];
      for (size_t i = 0; i < count; ++i) {
        own[i] = get(static_cast<const float*>(problem_.x), first + i * block_);
        if (problem_.residual) added[i] = get(static_cast<const float*>(problem_.residual), first + i * block_);
      }
      const Row row = {
          own,
          problem_.residual ? added : nullptr,
          own,
          static_cast<const float*>(problem_.scale) + s.channel + lane,
          static_cast<const float*>(problem_.bias) + s.channel + lane,
          1,
          count,
          standard.mean,
          standard.centre,
          standard.rstd,
          problem_.activation,
          false,
      };
      wideNormalize(problem_.dtype, row, 0, count);
      for (size_t i = 0; i < count; ++i) put(static_cast<float*>(problem_.y), first + i * block_, own[i]);
    }
  }
  clearPadding(s);
}

void BlockedRows::clearPadding(const Stretch& s) const {
  float* y = static_cast<float*>(problem_.y) + s.offset;
  for (size_t i = 0; i < s.positions; ++i) {
    std::memset(static_cast<void*>(y + i * block_ + s.lanes), 0, (block_ - s.lanes) * sizeof(float));
  }
}

void BlockedRows::normalizeWhole(size_t row) const {
  const size_t chunks = chunksEach();
  Statistics statistics = chunkMoments(row, 0);
  for (size_t i = 1; i < chunks; ++i) statistics = merge(statistics, chunkMoments(row, i));
  // Backwards: the end of a row that the caches cannot hold is what they hold last.
  for (size_t i = chunks; i-- > 0;) normalizeChunk(row, i, statistics);
}

BlockedRows::Statistics merge(const BlockedRows::Statistics& a, const BlockedRows::Statistics& b) {
  BlockedRows::Statistics result;
  for (size_t group = 0; group < kMostLanes; ++group) result.groups[group] = merge(a.groups[group], b.groups[group]);
  return result;
}

}  // namespace group_norm
