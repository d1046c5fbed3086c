#include "blocked_rows.h"

#include <algorithm>
#include <cstring>
#include <numeric>

#include "wide.h"

namespace group_norm {
namespace {

// Positions whose lanes are gathered at a time, to be computed in a wider type.
constexpr size_t kWidePositions = 256;

size_t dividedUp(size_t a, size_t b) { return (a + b - 1) / b; }

// In four sums, because an addition takes some cycles.
double sum(const double* values, size_t count) {
  double sums[4] = {};
  size_t i = 0;
  for (; i + 4 <= count; i += 4) {
    for (size_t k = 0; k < 4; ++k) sums[k] += values[i + k];
  }
  for (; i < count; ++i) sums[0] += values[i];
  return (sums[0] + sums[1]) + (sums[2] + sums[3]);
}

// The moments of lanes begin .. end - 1 together: they have the same counts.
Moments together(const LaneMoments& lanes, size_t begin, size_t end) {
  const size_t width = end - begin;
  const double mean = sum(lanes.mean + begin, width) / static_cast<double>(width);
  double squares[kMostLanes];
  for (size_t i = 0; i < width; ++i) {
    const double difference = lanes.mean[begin + i] - mean;
    squares[i] = lanes.squares[begin + i] + lanes.count * difference * difference;
  }
  return {lanes.count * static_cast<double>(width), mean, sum(squares, width)};
}

}  // namespace

// A chunk of a row: some positions of one block.
struct BlockedRows::Stretch {
  size_t offset;      // of its first element
  size_t positions;   // 0: the row has no such block
  size_t channel;     // of its first lane
  size_t lanes;       // that are channels, not padding
  size_t rowChannel;  // the row's first channel

  // body(group of the row, first lane, end of lanes) for each group that has lanes here.
  template <typename Body>
  void forEachGroup(size_t groupChannels, const Body& body) const {
    const size_t before = channel - rowChannel;
    size_t group = before / groupChannels;
    for (size_t lane = 0; lane < lanes; ++group) {
      const size_t end = std::min(lanes, (group + 1) * groupChannels - before);
      body(group, lane, end);
      lane = end;
    }
  }
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
  addChunk(row, chunk, result);
  return result;
}

void BlockedRows::addChunk(size_t row, size_t chunk, Statistics& ofRow) const {
  const Stretch s = at(row, chunk);
  if (s.positions == 0) return;
  const LaneMoments lanes =
      kernels_.moments(static_cast<const float*>(problem_.x) + s.offset, s.positions, leastSquares_);
  s.forEachGroup(groupChannels_, [&](size_t group, size_t begin, size_t end) {
    ofRow.groups[group] = merge(ofRow.groups[group], together(lanes, begin, end));
  });
}

void BlockedRows::normalizeChunk(size_t row, size_t chunk, const Statistics& ofRow) const {
  const Stretch s = at(row, chunk);
  if (s.positions == 0) return;
  const float* x = static_cast<const float*>(problem_.x) + s.offset;
  const float* residual = problem_.residual ? static_cast<const float*>(problem_.residual) + s.offset : nullptr;
  float* y = static_cast<float*>(problem_.y) + s.offset;
  const bool padded = s.lanes < block_;
  BlockStretch stretch = {x, residual, y, s.positions, problem_.activation, streaming_ && !padded};
  const float* scales = static_cast<const float*>(problem_.scale) + s.channel;
  const float* biases = static_cast<const float*>(problem_.bias) + s.channel;
  bool wide = false;
  s.forEachGroup(groupChannels_, [&](size_t group, size_t begin, size_t end) {
    const Standard standard = standardOf(ofRow.groups[group], problem_.epsilon, problem_.correction);
    wide = wide || needsWide(problem_.dtype, standard.rstd, largestScale_);
    if (wide) return;
    const float centre = static_cast<float>(standard.centre);
    const double rest = standard.mean - static_cast<double>(centre);
    for (size_t lane = begin; lane < end; ++lane) {
      const double scale = static_cast<double>(get(scales, lane)) * standard.rstd;
      stretch.centre[lane] = centre;
      stretch.scale[lane] = static_cast<float>(scale);
      stretch.scaleRest[lane] = static_cast<float>(scale - static_cast<double>(stretch.scale[lane]));
      stretch.bias[lane] = static_cast<float>(static_cast<double>(get(biases, lane)) - rest * scale);
    }
  });
  if (wide) return normalizeWide(s, ofRow);
  kernels_.normalize(stretch);
  if (padded) clearPadding(s);
}

// Lane by lane, as a row of one channel. All groups of the block are computed so, because one loop writes all lanes.
void BlockedRows::normalizeWide(const Stretch& s, const Statistics& ofRow) const {
  s.forEachGroup(groupChannels_, [&](size_t group, size_t begin, size_t end) {
    const Standard standard = standardOf(ofRow.groups[group], problem_.epsilon, problem_.correction);
    for (size_t lane = begin; lane < end; ++lane) normalizeWideLane(s, lane, standard);
  });
  clearPadding(s);
}

void BlockedRows::normalizeWideLane(const Stretch& s, size_t lane, const Standard& standard) const {
  for (size_t begin = 0; begin < s.positions; begin += kWidePositions) {
    const size_t count = std::min(kWidePositions, s.positions - begin);
    const size_t first = s.offset + begin * block_ + lane;
    float elements[kWidePositions], residual[kWidePositions];
    for (size_t i = 0; i < count; ++i) {
      elements[i] = get(static_cast<const float*>(problem_.x), first + i * block_);
      if (problem_.residual) residual[i] = get(static_cast<const float*>(problem_.residual), first + i * block_);
    }
    const Row row = {
        elements,
        problem_.residual ? residual : nullptr,
        elements,
        static_cast<const float*>(problem_.scale) + s.channel + lane,
        static_cast<const float*>(problem_.bias) + s.channel + lane,
        1,
        count,
        standard,
        problem_.activation,
        false,
    };
    wideNormalize(problem_.dtype, row, 0, count);
    for (size_t i = 0; i < count; ++i) put(static_cast<float*>(problem_.y), first + i * block_, elements[i]);
  }
}

void BlockedRows::clearPadding(const Stretch& s) const {
  float* y = static_cast<float*>(problem_.y) + s.offset;
  for (size_t i = 0; i < s.positions; ++i) {
    std::memset(static_cast<void*>(y + i * block_ + s.lanes), 0, (block_ - s.lanes) * sizeof(float));
  }
}

void BlockedRows::normalizeWhole(size_t row) const {
  Statistics statistics;
  size_t written = 0;
  for (size_t read = 1; read <= blocks_; ++read) {
    for (size_t i = (read - 1) * chunksOfBlock_; i < read * chunksOfBlock_; ++i) addChunk(row, i, statistics);
    const size_t groups = read * block_ / groupChannels_;
    const size_t known = read == blocks_ ? blocks_ : groups * groupChannels_ / block_;
    // Backwards: the end of what the caches cannot hold is what they hold last.
    for (size_t i = known * chunksOfBlock_; i-- > written * chunksOfBlock_;) normalizeChunk(row, i, statistics);
    written = known;
  }
}

BlockedRows::Statistics merge(const BlockedRows::Statistics& a, const BlockedRows::Statistics& b) {
  BlockedRows::Statistics result;
  for (size_t group = 0; group < kMostLanes; ++group) result.groups[group] = merge(a.groups[group], b.groups[group]);
  return result;
}

}  // namespace group_norm
