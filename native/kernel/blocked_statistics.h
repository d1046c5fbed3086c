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

// A name, because Clang takes `float (&shift)[kPeriod<V, block>]` for an expression where it is the first parameter.
template <typename V, size_t block>
using Shifts = float[kPeriod<V, block>];

// Whether taking the shift out again would cancel more than a bit of a lane's squares. False for NaN.
inline bool isFar(double values, double squares, double count) { return values * values > count * squares / 2; }

// Sets a shift for each lane; false if they are all as before.
template <size_t block, size_t period>
bool moveFarShifts(float (&shift)[period], const LaneTotals<period>& totals, double count) {
  bool moved = false;
  for (size_t lane = 0; lane < block; ++lane) {
    if (!isFar(totals.values[lane], totals.squares[lane], count)) continue;
    shift[lane] += static_cast<float>(totals.values[lane] / count);
    moved = true;
  }
  for (size_t lane = block; lane < period; ++lane) shift[lane] = shift[lane - block];
  return moved;
}

// The moments of one lane, for values that float arithmetic would lose.
template <size_t block>
Moments wideLane(const float* x, size_t lane, size_t positions) {
  float elements[kBlock / block];
  for (size_t i = 0; i < positions; ++i) elements[i] = get(x, i * block + lane);
  return wideMoments(elements, positions);
}

// Of at most kBlock elements. What a lane holds has no influence on the others: it may be padding.
template <typename V, typename D, size_t block>
LaneMoments laneMomentsAround(Shifts<V, block>& shift, const float* x, size_t positions, double leastSquares) {
  const double n = static_cast<double>(positions);
  auto totals = laneTotalsAround<V, block>(shift, x, positions * block);
  D far = all<D>(0);
  for (size_t i = 0; i < block; i += D::lanes) {
    const D values = D::load(totals.values + i);
    far = far + atLeast(all<D>(0), values * values - all<D>(n / 2) * D::load(totals.squares + i));
  }
  // NaN, too, is not 0.
  if (sum(far) != 0 && moveFarShifts<block>(shift, totals, n)) {
    totals = laneTotalsAround<V, block>(shift, x, positions * block);
  }
  double shifts[block];
  for (size_t i = 0; i < block; ++i) shifts[i] = static_cast<double>(shift[i]);

  LaneMoments result;
  result.count = n;
  D allSquares = all<D>(0);
  for (size_t i = 0; i < block; i += D::lanes) {
    const D values = D::load(totals.values + i);
    const D squares = D::load(totals.squares + i);
    const D offset = values * all<D>(1 / n);
    store(result.mean + i, D::load(shifts + i) + offset);
    store(result.squares + i, atLeast(all<D>(0), squares - values * offset));
    allSquares = allSquares + squares;
  }
  if (fits(x, sum(allSquares), 0) && leastSquares == 0) return result;
  for (size_t i = 0; i < block; ++i) {
    if (fits(x, totals.squares[i], leastSquares)) continue;
    const Moments wide = wideLane<block>(x, i, positions);
    result.mean[i] = wide.mean;
    result.squares[i] = wide.squares;
  }
  return result;
}

// As merge() does it; the lanes of each have the same count.
template <typename D, size_t block>
void addMoments(LaneMoments& a, const LaneMoments& b) {
  const double count = a.count + b.count;
  const double share = b.count / count;
  for (size_t i = 0; i < block; i += D::lanes) {
    const D mean = D::load(a.mean + i);
    const D difference = D::load(b.mean + i) - mean;
    const D between = difference * difference * all<D>(a.count * share);
    store(a.mean + i, mean + difference * all<D>(share));
    store(a.squares + i, D::load(a.squares + i) + D::load(b.squares + i) + between);
  }
  a.count = count;
}

template <size_t block, size_t period>
void setShift(float (&shift)[period], const double* mean) {
  for (size_t lane = 0; lane < period; ++lane) shift[lane] = static_cast<float>(mean[lane % block]);
}

// Of a stretch's first elements: the mean of a few, and of a constant lane the mean exactly.
template <typename V, size_t block>
void setFirstShift(Shifts<V, block>& shift, const float* x, size_t positions) {
  constexpr size_t most = 16;
  const size_t count = most < positions ? most : positions;
  for (size_t lane = 0; lane < kPeriod<V, block>; ++lane) shift[lane] = get(x, lane % block);
  const auto totals = laneTotalsAround<V, block>(shift, x, count * block);
  double mean[block];
  for (size_t lane = 0; lane < block; ++lane) {
    mean[lane] = static_cast<double>(shift[lane]) + totals.values[lane] * (1 / static_cast<double>(count));
  }
  setShift<block>(shift, mean);
}

template <typename V, typename D, size_t block>
LaneMoments laneMoments(const float* x, size_t positions, double leastSquares) {
  constexpr size_t most = kBlock / block;
  Shifts<V, block> shift;
  setFirstShift<V, block>(shift, x, positions);
  LaneMoments total = laneMomentsAround<V, D, block>(shift, x, most < positions ? most : positions, leastSquares);
  LaneMoments last = total;
  for (size_t begin = most; begin < positions; begin += most) {
    const size_t rest = positions - begin;
    setShift<block>(shift, last.mean);
    last = laneMomentsAround<V, D, block>(shift, x + begin * block, rest < most ? rest : most, leastSquares);
    addMoments<D, block>(total, last);
  }
  return total;
}

}  // namespace
}  // namespace group_norm
