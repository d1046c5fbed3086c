// What each instruction set provides: the statistics of a stretch of elements, the output of one, and both of short
// rows.
#pragma once

#include <cstddef>

#include "group_norm.h"
#include "moments.h"

#if defined(__x86_64__)
#define GROUP_NORM_X86 1
#else
#define GROUP_NORM_X86 0
#endif

namespace group_norm {

// The rows of a problem. A row is one group of one batch item, contiguous in memory, normalised by itself.
struct RowSet {
  const void* x;  // of the first row; the others follow
  const void* residual;
  void* y;
  const void* scale;  // of the first group
  const void* bias;
  size_t groups;    // rows of a batch item
  size_t length;    // elements of a row
  size_t channels;  // of a row; 1 if they share scale and bias
  size_t spatial;   // elements of a channel
  double epsilon;
  double correction;
  double leastSquares;  // a smaller sum of squares is taken again in a wider type
  double largestScale;
  DType dtype;
  Activation activation;
  bool streaming;  // write past the caches
};

// What the elements of a group are normalised with.
struct Standard {
  double mean;
  double centre;  // what is subtracted from x before it is scaled: the mean, or 0 where the mean is small
  double rstd;
};

// One row, or a part of one, whose statistics are known.
struct Row {
  const void* x;
  const void* residual;  // or null
  void* y;
  const void* scale;  // of the row's first channel
  const void* bias;
  size_t channels;
  size_t spatial;
  Standard standard;
  Activation activation;
  bool streaming;
};

static inline Row rowOf(const RowSet& set, size_t elementBytes, size_t index, const Standard& standard) {
  const size_t elements = index * set.length * elementBytes;
  const size_t affine = index % set.groups * set.channels * elementBytes;
  return {
      static_cast<const char*>(set.x) + elements,
      set.residual ? static_cast<const char*>(set.residual) + elements : nullptr,
      static_cast<char*>(set.y) + elements,
      static_cast<const char*>(set.scale) + affine,
      static_cast<const char*>(set.bias) + affine,
      set.channels,
      set.spatial,
      standard,
      set.activation,
      set.streaming,
  };
}

// Squares of float32 values below about 1e-19 vanish. What is lost then is less than this, a sum of squares:
// nothing beside any usual epsilon. With an epsilon smaller still, such a sum is taken again in double.
constexpr double kVanishingSquares = 1e-25;

// Rows up to this many elements are short: the first-level cache holds one.
constexpr size_t kShortRow = 4096;

// For elements of one type.
struct TypeKernels {
  // A sum of squares below `leastSquares` is taken again in a wider type.
  Moments (*moments)(const void* x, size_t count, double leastSquares);
  // Elements begin .. end - 1 of the row.
  void (*normalize)(const Row& row, size_t begin, size_t end);
  // Statistics and output of the short rows begin .. end - 1.
  void (*shortRows)(const RowSet& set, size_t begin, size_t end);
};

// Channels of the largest block.
constexpr size_t kMostLanes = 16;

// The moments of each channel of a block: as many as it has lanes, which have all the same count.
struct LaneMoments {
  double count;
  double mean[kMostLanes];
  double squares[kMostLanes];
};

// A stretch of one block whose channels' statistics are known. Each channel has a lane:
// y = activation((x - centre) * (scale + scaleRest) + bias + residual).
struct BlockStretch {
  const float* x;
  const float* residual;  // or null
  float* y;
  size_t positions;  // elements of each channel
  Activation activation;
  bool streaming;  // write past the caches
  float centre[kMostLanes] = {};
  float scale[kMostLanes] = {};
  float scaleRest[kMostLanes] = {};
  float bias[kMostLanes] = {};
};

// Both are for blocks of one size.
struct BlockKernels {
  // Of `positions` elements of each channel. Sums of squares below `leastSquares` are taken again in a wider type.
  LaneMoments (*moments)(const float* x, size_t positions, double leastSquares);
  void (*normalize)(const BlockStretch&);
};

struct Kernels {
  const char* name;
  TypeKernels byDType[4];  // in the order of DType
  BlockKernels blocksOf8;
  BlockKernels blocksOf16;
};

const Kernels& portableKernels();
#if GROUP_NORM_X86
const Kernels& avx2Kernels();
const Kernels& avx512Kernels();
#endif

}  // namespace group_norm
