// The output of a stretch of a row whose statistics are known, of elements of type T, by vectors of type V.
//
// (x - mean) * a + bias with a = scale * rstd, where the mean is centre + rest, the centre being what an element can
// hold. x - centre is exact where x is near the mean, and rest * a, which is small, is taken from the bias. To take
// all of a large mean's mean * a from it would cancel digits. Where the mean is less than half the deviation
// nothing cancels: the centre is 0 then, which spares x - centre its rounding. a, too, is in two parts, so that nearly
// all of the error that is left is the rounding of the bias and of the result: the loop waits for memory, not for this.
#pragma once

#include "kernels.h"
#include "statistics.h"

namespace group_norm {
namespace {

template <Activation activation, typename V>
ALWAYS_INLINE V activate(V v) {
  if constexpr (activation == Activation::relu) return atLeast(all<V>(0), v);
  if constexpr (activation == Activation::silu) return silu(v);
  return v;
}

// Consecutive elements of the three tensors.
template <typename T>
struct Stretch {
  const T* x;
  const T* residual;
  T* y;
  size_t count;

  Stretch from(size_t begin, size_t end) const {
    return {x + begin, residual ? residual + begin : nullptr, y + begin, end - begin};
  }
};

template <typename Named>
struct Type {
  using type = Named;
};

// What x is normalised with, for the lanes of one vector.
template <typename V>
struct Affine {
  V centre, scale, scaleRest, bias;

  ALWAYS_INLINE V operator()(V x, size_t, size_t) const {
    const V d = x - centre;
    return multiplyAdd(d, scale, multiplyAdd(d, scaleRest, bias));
  }
};

template <typename V, typename T, Activation activation, bool withResidual, bool streaming>
struct Output {
  using Scalar = typename V::Scalar;
  static constexpr size_t lanes = V::lanes;

  size_t channels;
  size_t spatial;
  const T* rowScale;
  const T* rowBias;
  Scalar centre;
  double rest;  // of the mean, less the centre
  double rstd;

  // How many elements come before the first aligned vector of y. Only those can be streamed, and a vector that lies
  // across two lines of the cache takes twice the time to store; a short stretch does not earn the part before it.
  static size_t beforeAligned(Stretch<T> s) {
    if (!streaming && s.count < 64 * lanes) return 0;
    const size_t past = reinterpret_cast<uintptr_t>(s.y) / sizeof(T) % lanes;
    const size_t before = past == 0 ? 0 : lanes - past;
    return before < s.count ? before : s.count;
  }

  // affine(x, index, lanes in use) is applied to all of the stretch.
  template <typename Affine>
  static ALWAYS_INLINE void each(Stretch<T> s, Affine affine) {
    size_t i = beforeAligned(s);
    if (i > 0) part(s, 0, i, affine);
    for (; i + lanes <= s.count; i += lanes) put(s, i, activate<activation>(before(s, i, affine)));
    if (i < s.count) part(s, i, s.count - i, affine);
  }

  // What the activation is applied to.
  template <typename Affine>
  static V before(Stretch<T> s, size_t i, Affine affine) {
    const V v = affine(V::load(s.x + i), i, lanes);
    return withResidual ? v + V::load(s.residual + i) : v;
  }

  static void put(Stretch<T> s, size_t i, V v) {
    if (streaming) {
      stream(s.y + i, v);
    } else {
      store(s.y + i, v);
    }
  }

  template <typename Affine>
  static void part(Stretch<T> s, size_t i, size_t count, Affine affine) {
    const V zero = all<V>(0);
    V v = affine(loadPart(s.x + i, count, zero), i, count);
    if (withResidual) v = v + loadPart(s.residual + i, count, zero);
    storePart(s.y + i, count, activate<activation>(v));
  }

  Affine<V> affineOf(size_t channel) const {
    const double scale = static_cast<double>(get(rowScale, channel)) * rstd;
    const double bias = static_cast<double>(get(rowBias, channel)) - rest * scale;
    const Scalar nearly = static_cast<Scalar>(scale);
    const Scalar scaleRest = static_cast<Scalar>(scale - static_cast<double>(nearly));
    return {all<V>(centre), all<V>(nearly), all<V>(scaleRest), all<V>(static_cast<Scalar>(bias))};
  }

  // With a scale and a bias for every element, as they lie in memory: (x - mean) * rstd first, of which the root, too,
  // is in two parts.
  template <typename U>
  ALWAYS_INLINE void elements(Stretch<T> s, const U* scale, const U* bias) const {
    const V c = all<V>(centre);
    const Scalar nearly = static_cast<Scalar>(rstd);
    const V r = all<V>(nearly);
    const V rRest = all<V>(static_cast<Scalar>(rstd - static_cast<double>(nearly)));
    const V less = all<V>(static_cast<Scalar>(-rest * rstd));
    const V zero = all<V>(0);
    each(s, [=](V x, size_t i, size_t count) {
      const bool whole = count == lanes;
      const V a = whole ? V::load(scale + i) : loadPart(scale + i, count, zero);
      const V b = whole ? V::load(bias + i) : loadPart(bias + i, count, zero);
      const V d = x - c;
      return multiplyAdd(multiplyAdd(d, r, multiplyAdd(d, rRest, less)), a, b);
    });
  }

  // Channels shorter than a vector: their scale and bias are laid out element by element first.
  void shortChannels(Stretch<T> s, size_t begin) const {
    constexpr size_t room = 512;
    Scalar scale[room + lanes];
    Scalar bias[room + lanes];
    const size_t most = room - room % spatial;
    size_t index = begin / spatial;
    size_t within = begin - index * spatial;
    for (size_t i = 0; i < s.count; within = 0) {
      const size_t end = i + most - within < s.count ? i + most - within : s.count;
      // Whole vectors: the next one takes the place of what is too much.
      for (size_t k = 0; k < within + end - i; k += spatial, ++index) {
        store(scale + k, all<V>(get(rowScale, index)));
        store(bias + k, all<V>(get(rowBias, index)));
      }
      elements(s.from(i, end), scale + within, bias + within);
      i = end;
    }
  }

  // The vectors follow each other through all channels. One in which a channel ends has the factors of two.
  void longChannels(Stretch<T> s, size_t begin) const {
    size_t index = begin / spatial;
    size_t channelEnd = (index + 1) * spatial - begin;
    Affine<V> affine = affineOf(index);
    const auto affineFor = [&](size_t i, size_t count) {
      if (i + count <= channelEnd) return affine;
      const Affine<V> first = affine;
      const size_t left = channelEnd - i;
      affine = affineOf(++index);
      channelEnd += spatial;
      return Affine<V>{affine.centre, joined(left, first.scale, affine.scale),
                       joined(left, first.scaleRest, affine.scaleRest), joined(left, first.bias, affine.bias)};
    };
    size_t i = beforeAligned(s);
    if (i > 0) part(s, 0, i, affineFor(0, i));
    for (; i + lanes <= s.count; i += lanes) {
      const Affine<V> whole = affine;
      const size_t end = channelEnd < s.count ? channelEnd : s.count;
      for (; i + lanes <= end; i += lanes) put(s, i, activate<activation>(before(s, i, whole)));
      if (i + lanes > s.count) break;
      put(s, i, activate<activation>(before(s, i, affineFor(i, lanes))));
    }
    if (i < s.count) part(s, i, s.count - i, affineFor(i, s.count - i));
  }

  ALWAYS_INLINE void run(Stretch<T> s, size_t begin) const {
    if (channels > 1 && spatial == 1) {
      elements(s, rowScale + begin, rowBias + begin);
    } else if (channels > 1 && spatial < lanes) {
      shortChannels(s, begin);
    } else {
      longChannels(s, begin);
    }
  }
};

// Calls body with the type of the Output that a row or all rows of a set have.
template <typename V, typename T, Activation activation, typename Rows, typename Body>
ALWAYS_INLINE void withOutputOf(const Rows& rows, Body body) {
  if (rows.residual) {
    if (rows.streaming) return body(Type<Output<V, T, activation, true, true>>{});
    return body(Type<Output<V, T, activation, true, false>>{});
  }
  if (rows.streaming) return body(Type<Output<V, T, activation, false, true>>{});
  return body(Type<Output<V, T, activation, false, false>>{});
}

template <typename V, typename T, typename Rows, typename Body>
void withOutput(const Rows& rows, Body body) {
  switch (rows.activation) {
    case Activation::none:
      return withOutputOf<V, T, Activation::none>(rows, body);
    case Activation::relu:
      return withOutputOf<V, T, Activation::relu>(rows, body);
    case Activation::silu:
      return withOutputOf<V, T, Activation::silu>(rows, body);
  }
}

template <typename V, typename T>
void normalize(const Row& row, size_t begin, size_t end) {
  using Scalar = typename V::Scalar;
  const Stretch<T> whole = {static_cast<const T*>(row.x), static_cast<const T*>(row.residual), static_cast<T*>(row.y),
                            end};
  const T* scale = static_cast<const T*>(row.scale);
  const T* bias = static_cast<const T*>(row.bias);
  const Scalar centre = static_cast<Scalar>(row.standard.centre);
  const double rest = row.standard.mean - static_cast<double>(centre);
  withOutput<V, T>(row, [&](auto output) {
    using Out = typename decltype(output)::type;
    Out{row.channels, row.spatial, scale, bias, centre, rest, row.standard.rstd}.run(whole.from(begin, end), begin);
  });
  if (row.streaming) V::endStreaming();
}

}  // namespace
}  // namespace group_norm
