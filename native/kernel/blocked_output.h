// The output of a stretch of a block, as output.h computes that of a stretch of a row.
#pragma once

#include "blocked_statistics.h"
#include "output.h"

namespace group_norm {
namespace {

// The lanes of one vector of each period.
template <typename V>
struct LaneAffine {
  V centre, scale, scaleRest, bias;

  ALWAYS_INLINE V of(V x) const {
    const V d = x - centre;
    return multiplyAdd(d, scale, multiplyAdd(d, scaleRest, bias));
  }
};

template <typename V, size_t block, Activation activation, bool withResidual, bool streaming>
struct BlockOutput {
  static constexpr size_t lanes = V::lanes;
  static constexpr size_t vectors = kPeriod<V, block> / lanes;

  const BlockStretch& s;

  // The index-th vector's lanes of the period; a block that is half of a vector twice.
  static V laneConstants(const float (&perLane)[kMostLanes], size_t index) {
    float period[kPeriod<V, block>];
    for (size_t lane = 0; lane < kPeriod<V, block>; ++lane) period[lane] = perLane[lane % block];
    return V::load(period + index * lanes);
  }

  static ALWAYS_INLINE V result(const LaneAffine<V>& affine, V x, V residual) {
    const V v = affine.of(x);
    return activate<activation>(withResidual ? v + residual : v);
  }

  ALWAYS_INLINE void put(const LaneAffine<V>& affine, size_t i) const {
    const V residual = withResidual ? V::load(s.residual + i) : all<V>(0);
    const V y = result(affine, V::load(s.x + i), residual);
    if (streaming) {
      stream(s.y + i, y);
    } else {
      store(s.y + i, y);
    }
  }

  void run() const {
    const size_t count = s.positions * block;
    LaneAffine<V> affine[vectors];
    for (size_t k = 0; k < vectors; ++k) {
      affine[k] = {laneConstants(s.centre, k), laneConstants(s.scale, k), laneConstants(s.scaleRest, k),
                   laneConstants(s.bias, k)};
    }
    size_t i = 0;
    for (; i + vectors * lanes <= count; i += vectors * lanes) {
      for (size_t k = 0; k < vectors; ++k) put(affine[k], i + k * lanes);
    }
    if (i < count) {
      const size_t rest = count - i;
      const V zero = all<V>(0);
      const V residual = withResidual ? loadPart(s.residual + i, rest, zero) : zero;
      storePart(s.y + i, rest, result(affine[0], loadPart(s.x + i, rest, zero), residual));
    }
    if (streaming) V::endStreaming();
  }
};

template <typename V, size_t block, Activation activation>
void normalizeBlockWith(const BlockStretch& s) {
  if (s.residual) {
    if (s.streaming) return BlockOutput<V, block, activation, true, true>{s}.run();
    return BlockOutput<V, block, activation, true, false>{s}.run();
  }
  if (s.streaming) return BlockOutput<V, block, activation, false, true>{s}.run();
  return BlockOutput<V, block, activation, false, false>{s}.run();
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
