// Group Normalization of one tensor, with an optional residual and activation: the whole interface of the kernel.
//
//   y = activation((x - mean) / sqrt(variance + epsilon) * scale + bias + residual)
//
// mean and variance are those of each group of channels / groups channels of each batch item; the variance is the mean
// of the squares, or their sum over the number of elements less `correction`.
//
// The blocked layout is that of ONNX Runtime's convolutions (NCHWc): channels are cut into blocks of 8 or 16, and the
// channels of a block lie side by side: (batch, ceil(channels / block), spatial, block). What the last block has more
// than `channels` is padding: it is not read, whatever it holds, and written as 0.
//
// Knows neither N-API nor ONNX Runtime.
#pragma once

#include <cstddef>
#include <cstdint>

namespace group_norm {

enum class DType { float32, float64, float16, bfloat16 };

// Of one element.
size_t bytesOf(DType) noexcept;

enum class Activation { none, relu, silu };

struct Problem {
  DType dtype = DType::float32;    // of x, residual, scale, bias and y
  const void* x = nullptr;         // (batch, channels, spatial) or blocked, contiguous; no pointer need be aligned
  const void* residual = nullptr;  // like x, or null; added after the affine part, before the activation
  const void* scale = nullptr;     // one element per channel, or a group
  const void* bias = nullptr;      // like scale
  int64_t batch = 0;
  int64_t channels = 0;
  int64_t spatial = 1;  // product of all dimensions after the channels; 1 for rank 2
  int64_t groups = 1;
  int64_t block = 0;            // 8 or 16: x, residual and y are blocked, of float32, with an affine per channel
  bool perGroupAffine = false;  // scale and bias have `groups` elements (opsets 18 to 20), not `channels`
  double epsilon = 1e-5;
  double correction = 0;  // as that of PyTorch's var
  Activation activation = Activation::none;
  void* y = nullptr;  // like x; may be x or residual itself, must not overlap them otherwise
};

// Runs body(user, 0) .. body(user, count - 1), each exactly once, in any order, on any threads.
// Returns when all are done. What a body wrote is visible to the caller, and to the bodies of the next call.
using ParallelFor = void (*)(void* context, size_t count, void (*body)(void* user, size_t index), void* user);

struct Threads {
  ParallelFor parallelFor = nullptr;  // null: everything runs on the caller's thread
  void* context = nullptr;
  int count = 1;  // threads that parallelFor uses, the caller's among them
};

enum class Outcome {
  done,
  invalid,  // channels cannot be cut into `groups` groups, a dimension is negative, or there is no such blocked problem
  outOfMemory,
};

// Leaves y untouched unless it is done. Empty tensors are fine. The result is bitwise the same for every number of
// threads and from run to run. Never throws; may be called from many threads at once.
Outcome run(const Problem& problem, const Threads& threads) noexcept;

// What run() computes with on this machine: "avx512", "avx2", "neon" or "portable".
const char* instructionSet() noexcept;

// For tests: from now on run() uses this one. "portable" is everywhere ("neon" is its name on ARM).
// False, with nothing changed, if this machine or this build does not have it.
bool forceInstructionSet(const char* name) noexcept;

}  // namespace group_norm
