// What each instruction set provides: the statistics of a stretch of elements, and the output of one.
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

// One group of one batch item, once its statistics are known.
struct Row {
  const void* x;
  const void* residual;  // or null
  void* y;
  const void* scale;  // of the row's first channel
  const void* bias;
  size_t channels;  // of the row; 1 if they share scale and bias
  size_t spatial;   // elements of a channel
  double mean;
  double centre;  // what is subtracted from x before it is scaled: the mean, or 0 where the mean is small
  double rstd;
  Activation activation;
  bool streaming;  // write past the caches
};

// Squares of float32 values below about 1e-19 vanish. What is lost then is less than this, a sum of squares:
// nothing beside any usual epsilon. With an epsilon smaller still, such a sum is taken again in double.
constexpr double kVanishingSquares = 1e-25;

// Both are for elements of one type.
struct TypeKernels {
  // A sum of squares below `leastSquares` is taken again in a wider type.
  Moments (*moments)(const void* x, size_t count, double leastSquares);
  // Elements begin .. end - 1 of the row.
  void (*normalize)(const Row& row, size_t begin, size_t end);
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
