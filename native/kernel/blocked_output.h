// The output of a stretch of a block, as output.h computes that of a stretch of a row.
#pragma once

#include "blocked_statistics.h"
#include "output.h"

namespace group_norm {
namespace {

// The index-th vector of a period; a block that is half of a vector is there twice.
template <typename V, size_t block>
V laneVector(const float (&perLane)[kMostLanes], size_t index) {
  float period[kPeriod<V, block>];
  for (size_t lane = 0; lane < kPeriod<V, block>; ++lane) period[lane] = perLane[lane % block];
  return V::load(period + index * V::lanes);
}

template <typename V, size_t block, Activation activation, bool withResidual, bool streaming>
void normalizeLanes(const BlockStretch& stretch) {
  using Plain = Output<V, float, activation, withResidual, streaming>;
  constexpr size_t period = kPeriod<V, block>;
  constexpr size_t vectors = period / V::lanes;
  Affine<V> affine[vectors];
  for (size_t k = 0; k < vectors; ++k) {
    affine[k] = {laneVector<V, block>(stretch.centre, k), laneVector<V, block>(stretch.scale, k),
                 laneVector<V, block>(stretch.scaleRest, k), laneVector<V, block>(stretch.bias, k)};
  }
  const Stretch<float> s = {stretch.x, stretch.residual, stretch.y, stretch.positions * block};
  size_t i = 0;
  for (; i + period <= s.count; i += period) {
    for (size_t k = 0; k < vectors; ++k) {
      const size_t at = i + k * V::lanes;
      Plain::put(s, at, activate<activation>(Plain::before(s, at, affine[k])));
    }
  }
  if (i < s.count) Plain::part(s, i, s.count - i, affine[0]);
  if (streaming) V::endStreaming();
}

template <typename V, size_t block, Activation activation>
void normalizeBlockWith(const BlockStretch& s) {
  if (s.residual) {
    if (s.streaming) return normalizeLanes<V, block, activation, true, true>(s);
    return normalizeLanes<V, block, activation, true, false>(s);
  }
  if (s.streaming) return normalizeLanes<V, block, activation, false, true>(s);
  return normalizeLanes<V, block, activation, false, false>(s);
}

template <typename V, size_t block>
void normalizeBlock(const BlockStretch& s) {
  switch (s.activation) {
    case Activation::none:
      return normalizeBlockWith<V, block, Activation::none>(s);
    case Activation::relu:
      return normalizeBlockWith<V, block, Activation::relu>(s);
    case Activation::silu:
      return normalizeBlockWith<V, block, Activation::silu>(s);
  }
}

}  // namespace
}  // namespace group_norm
