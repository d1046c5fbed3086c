// A case: the tensors of a problem, their expected values from the definition in long double, and the tolerance.
#pragma once

#include <functional>
#include <random>
#include <string>

#include "tensor.h"

struct Shape {
  int64_t batch, channels, spatial, groups;
  int64_t block = 0;  // as in group_norm::Problem

  // With the padding of the last block.
  int64_t paddedChannels() const { return block > 0 ? (channels + block - 1) / block * block : channels; }
  size_t elements() const { return static_cast<size_t>(batch * paddedChannels() * spatial); }
  // Where an element lies; a channel may be padding.
  size_t at(size_t item, size_t channel, size_t position) const;
};

struct Options {
  group_norm::DType dtype = group_norm::DType::float32;
  group_norm::Activation activation = group_norm::Activation::none;
  bool residual = false;
  bool perGroupAffine = false;
  double epsilon = 1e-5;
  double correction = 0;
  double mean = 0;
  double deviation = 1;
  size_t shift = 0;  // bytes off alignment
};

struct Case {
  Shape shape;
  Options options;
  Tensor x, residual, scale, bias, y;

  Case(Shape s, Options o, uint64_t seed);

  group_norm::Problem problem();
  // Runs into y; checks that run() succeeds.
  void run(const group_norm::Threads& threads);
  // Every element of y against the definition; padding is 0.
  void verify(const std::string& what) const;
  // body(where the element lies) for each element that belongs to no channel.
  void forEachPadding(const std::function<void(size_t)>& body) const;
};

std::string describe(const Case& c);

// The instruction sets that this machine has; the best is in use again when the function returns.
template <typename Body>
void forEachInstructionSet(Body body) {
  const std::string best = group_norm::instructionSet();
  for (const char* name : {"portable", "avx2", "avx512"}) {
    if (group_norm::forceInstructionSet(name)) body(std::string(group_norm::instructionSet()));
  }
  group_norm::forceInstructionSet(best.c_str());
}
