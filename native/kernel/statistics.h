// The statistics of a stretch of elements of type T, in one trip through memory, by vectors of type V.
//
// A block's elements are centred by a shift before they are squared, so a large mean costs no digits. The shift is
// the mean of the block before, or of the first elements. Where that is so far from the mean of all that taking it out
// again would cancel more than a bit, the sums are taken again around the mean, while the first-level cache has the
// block.
#pragma once

#include <float.h>

#include "kernels.h"
#include "silu.h"
#include "wide.h"

namespace group_norm {
namespace {

constexpr size_t kBlock = 4096;

template <typename V>
struct Sums {
  V values = all<V>(0);
  V squares = all<V>(0);

  void add(V deviation) {
    values = values + deviation;
    squares = multiplyAdd(deviation, deviation, squares);
  }
  void add(const Sums& other) {
    values = values + other.values;
    squares = squares + other.squares;
  }
};

// Of the elements less the shift.
struct Totals {
  double shift = 0;
  double values = 0;
  double squares = 0;
};

// A lane sums few elements before its sum goes on in double: squares of values on a coarse grid (large beside the
// deviation) are not rounded up as often as down, and that error grows with the sum.
template <typename T, typename V>
ALWAYS_INLINE Totals totalsAround(V shift, const T* x, size_t count) {
  constexpr size_t lanes = V::lanes;
  constexpr size_t tile = 64 * lanes;
  Totals totals;
  for (size_t begin = 0; begin < count; begin += tile) {
    const size_t end = count - begin < tile ? count : begin + tile;
    Sums<V> a, b;
    size_t i = begin;
    if (end - begin >= 4 * lanes) {
      Sums<V> c, d;  // an addition takes some cycles: four may be under way
      for (; i + 4 * lanes <= end; i += 4 * lanes) {
        a.add(V::load(x + i) - shift);
        b.add(V::load(x + i + lanes) - shift);
        c.add(V::load(x + i + 2 * lanes) - shift);
        d.add(V::load(x + i + 3 * lanes) - shift);
      }
      a.add(c);
      b.add(d);
    }
    for (; i + lanes <= end; i += lanes) a.add(V::load(x + i) - shift);
    if (i < end) b.add(loadPart(x + i, end - i, shift) - shift);
    a.add(b);
    totals.values += sum(a.values);
    totals.squares += sum(a.squares);
  }
  return totals;
}

// float16 has no value whose square a float could not hold.
inline bool fits(const Half*, double, double) { return true; }
inline bool fits(const double*, double squares, double) { return squares <= DBL_MAX; }
// False for NaN and Inf as well: those come out as in double, too.
template <typename T>
bool fits(const T*, double squares, double leastSquares) {
  return squares < static_cast<double>(FLT_MAX) && squares >= leastSquares;
}

// Of a stretch's first block: the mean of its first elements, and of a constant block the mean exactly.
template <typename V, typename T>
auto firstShift(const T* x, size_t count) {
  using Scalar = typename V::Scalar;
  const size_t share = count / 16 > 32 ? count / 16 : 32;
  const size_t probe = share < count ? share : count;
  const Scalar first = get(x, 0);
  return first + static_cast<Scalar>(totalsAround(all<V>(first), x, probe).values / static_cast<double>(probe));
}

template <typename T>
Totals wideTotals(const T* x, size_t count) {
  const Moments wide = wideMoments(x, count);
  return {wide.mean, 0, wide.squares};
}

// Of one block, around `shift` or, where that is far from the mean, around the mean.
template <typename V, typename T>
ALWAYS_INLINE Totals totalsOf(const T* x, size_t count, typename V::Scalar shift, double leastSquares) {
  using Scalar = typename V::Scalar;
  const double n = static_cast<double>(count);
  Totals totals = totalsAround(all<V>(shift), x, count);
  if (totals.values * totals.values > n * totals.squares / 2) {
    shift += static_cast<Scalar>(totals.values / n);
    totals = totalsAround(all<V>(shift), x, count);
  }
  totals.shift = static_cast<double>(shift);
  if (fits(x, totals.squares, leastSquares)) return totals;
  return wideTotals(x, count);
}

ALWAYS_INLINE Moments momentsOf(const Totals& totals, double n) {
  const double offset = totals.values / n;
  const double excess = totals.values * offset;
  const double squares = excess < totals.squares ? totals.squares - excess : totals.squares * 0;
  return {n, totals.shift + offset, squares};
}

template <typename V, typename T>
Moments moments(const void* elements, size_t count, double leastSquares) {
  using Scalar = typename V::Scalar;
  const T* x = static_cast<const T*>(elements);
  Scalar shift = firstShift<V>(x, count < kBlock ? count : kBlock);
  Moments total;
  for (size_t begin = 0; begin < count; begin += kBlock) {
    const size_t size = count - begin < kBlock ? count - begin : kBlock;
    const Moments block = momentsOf(totalsOf<V>(x + begin, size, shift, leastSquares), static_cast<double>(size));
    total = merge(total, block);
    shift = static_cast<Scalar>(block.mean);
  }
  return total;
}

}  // namespace
}  // namespace group_norm
