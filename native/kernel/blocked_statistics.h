// The statistics of each channel of a stretch of a block, as statistics.h takes those of a stretch of elements: every
// channel has a lane, with a shift of its own.
#pragma once

#include "statistics.h"

namespace group_norm {
namespace {

// Elements after which the lanes of whole vectors are those of the same channels again: a vector may hold a part of a
// block, or two blocks side by side.
template <typename V, size_t block>
constexpr size_t kPeriod = block > V::lanes ? block : V::lanes;

// Adds each lane to a sum of its own.
template <typename V>
void addLanes(double* sums, V v) {
  typename V::Scalar lanes[V::lanes];
  store(lanes, v);
  for (size_t i = 0; i < V::lanes; ++i) sums[i] += static_cast<double>(lanes[i]);
}

template <size_t period>
struct LaneTotals {
  double values[period] = {};
  double squares[period] = {};

  template <typename V>
  void add(size_t lane, const Sums<V>& sums) {
    addLanes(values + lane, sums.values);
    addLanes(squares + lane, sums.squares);
  }
};

// Of the elements less the shift of their lane. As in totalsAround, lanes sum few elements before they go on in double.
template <typename V, size_t block>
LaneTotals<kPeriod<V, block>> laneTotalsAround(const float* shift, const float* x, size_t count) {
  constexpr size_t lanes = V::lanes;
  constexpr size_t vectors = kPeriod<V, block> / lanes;
  static_assert(vectors == 1 || vectors == 2 || vectors == 4, "four sums take whole periods");
  constexpr size_t tile = 64 * lanes;
  const V shiftA = V::load(shift);
  const V shiftB = V::load(shift + 1 % vectors * lanes);
  const V shiftC = V::load(shift + 2 % vectors * lanes);
  const V shiftD = V::load(shift + 3 % vectors * lanes);
  LaneTotals<kPeriod<V, block>> totals;
  for (size_t begin = 0; begin < count; begin += tile) {
    const size_t end = count - begin < tile ? count : begin + tile;
    Sums<V> a, b, c, d;
    size_t i = begin;
    for (; i + 4 * lanes <= end; i += 4 * lanes) {
      a.add(V::load(x + i) - shiftA);
      b.add(V::load(x + i + lanes) - shiftB);
      c.add(V::load(x + i + 2 * lanes) - shiftC);
      d.add(V::load(x + i + 3 * lanes) - shiftD);
    }
    if (i + lanes <= end) a.add(V::load(x + i) - shiftA);
    if (i + 2 * lanes <= end) b.add(V::load(x + i + lanes) - shiftB);
    if (i + 3 * lanes <= end) c.add(V::load(x + i + 2 * lanes) - shiftC);
    // Half of a vector that holds two blocks.
    const size_t whole = end - end % lanes;
    if (whole < end) d.add(loadPart(x + whole, end - whole, shiftD) - shiftD);
    if constexpr (vectors == 4) {
      totals.add(lanes, b);
      totals.add(2 * lanes, c);
      totals.add(3 * lanes, d);
    } else {
      a.add(c);
      b.add(d);
      if constexpr (vectors == 2) {
        totals.add(lanes, b);
      } else {
        a.add(b);
      }
    }
    totals.add(0, a);
  }
  for (size_t lane = block; lane < kPeriod<V, block>; ++lane) {
    totals.values[lane - block] += totals.values[lane];
    totals.squares[lane - block] += totals.squares[lane];
  }
  return totals;
}

template <size_t block, size_t period>
void moveShift(float (&shift)[period], const double* totals, double count) {
  for (size_t lane = 0; lane < block; ++lane) shift[lane] += static_cast<float>(totals[lane] / count);
  for (size_t lane = block; lane < period; ++lane) shift[lane] = shift[lane - block];
}

// Moments of one lane, for values that float arithmetic would lose.
template <size_t block>
Moments wideLane(const float* x, size_t lane, size_t positions) {
  float elements[kBlock / block];
  for (size_t i = 0; i < positions; ++i) elements[i] = get(x, i * block + lane);
  return wideMoments(elements, positions);
}

// Of at most kBlock elements.
template <typename V, size_t block>
LaneMoments laneMomentsAround(float (&shift)[kPeriod<V, block>], const float* x, size_t positions,
                              double leastSquares) {
  const double n = static_cast<double>(positions);
  auto totals = laneTotalsAround<V, block>(shift, x, positions * block);
  bool far = false;
  for (size_t i = 0; i < block; ++i) far |= totals.values[i] * totals.values[i] > n * totals.squares[i] / 2;
  if (far) {
    moveShift<block>(shift, totals.values, n);
    totals = laneTotalsAround<V, block>(shift, x, positions * block);
  }
  LaneMoments result;
  result.count = n;
  bool fit = true;
  for (size_t i = 0; i < block; ++i) {
    const double offset = totals.values[i] / n;
    const double excess = totals.values[i] * offset;
    result.mean[i] = static_cast<double>(shift[i]) + offset;
    result.squares[i] = excess < totals.squares[i] ? totals.squares[i] - excess : totals.squares[i] * 0;
    fit &= fits(x, totals.squares[i], leastSquares);
  }
  if (fit) return result;
  for (size_t i = 0; i < block; ++i) {
    if (fits(x, totals.squares[i], leastSquares)) continue;
    const Moments wide = wideLane<block>(x, i, positions);
    result.mean[i] = wide.mean;
    result.squares[i] = wide.squares;
  }
  return result;
}

// As merge() does it; the lanes have the same counts.
inline void addMoments(LaneMoments& a, const LaneMoments& b) {
  const double count = a.count + b.count;
  const double share = b.count / count;
  for (size_t i = 0; i < kMostLanes; ++i) {
    const double difference = b.mean[i] - a.mean[i];
    a.mean[i] += difference * share;
    a.squares[i] += b.squares[i] + difference * difference * (a.count * share);
  }
  a.count = count;
}

template <typename V, size_t block>
LaneMoments laneMoments(const float* x, size_t positions, double leastSquares) {
  constexpr size_t most = kBlock / block;
  constexpr size_t probe = 32;
  // The first shift: the mean of the first elements, and of a constant lane the mean exactly.
  float shift[kPeriod<V, block>];
  for (size_t lane = 0; lane < kPeriod<V, block>; ++lane) shift[lane] = get(x, lane % block);
  const size_t probed = probe < positions ? probe : positions;
  const auto totals = laneTotalsAround<V, block>(shift, x, probed * block);
  moveShift<block>(shift, totals.values, static_cast<double>(probed));

  LaneMoments total = laneMomentsAround<V, block>(shift, x, most < positions ? most : positions, leastSquares);
  for (size_t begin = most; begin < positions; begin += most) {
    for (size_t lane = 0; lane < kPeriod<V, block>; ++lane) shift[lane] = static_cast<float>(total.mean[lane % block]);
    const size_t rest = positions - begin;
    addMoments(total, laneMomentsAround<V, block>(shift, x + begin * block, rest < most ? rest : most, leastSquares));
  }
  return total;
}

}  // namespace
}  // namespace group_norm
