// Statistics and output of rows that the first-level cache holds, of elements of type T, by vectors of type V; D is the
// vector of doubles.
//
// Some rows at a time: the sums of each, then the statistics of all, a row to a lane, then the output of each. A row
// alone would wait for its sums, a division and a root, which takes longer than all its elements.
#pragma once

#include "output.h"
#include "statistics.h"

namespace group_norm {
namespace {

// Rows that are under way. Lanes that no row has are computed with as well.
template <typename D>
struct Batch {
  static constexpr size_t most = 64;
  // Sums of the elements less the shift.
  double shift[most] = {};
  double values[most] = {};
  double squares[most] = {};
  double mean[most];
  double centre[most];
  double rstd[most];

  void put(size_t i, const Totals& totals) {
    shift[i] = totals.shift;
    values[i] = totals.values;
    squares[i] = totals.squares;
  }

  double allSquares(size_t count) const {
    D total = D::load(squares);
    for (size_t i = D::lanes; i < count; i += D::lanes) total = total + D::load(squares + i);
    return sum(total);
  }

  void finish(size_t count, const RowSet& set) {
    const D zero = all<D>(0);
    const D n = all<D>(static_cast<double>(set.length));
    const D divisor = all<D>(static_cast<double>(set.length) - set.correction);
    for (size_t i = 0; i < count; i += D::lanes) {
      const D sum = D::load(values + i);
      const D offset = sum / n;
      const D m = D::load(shift + i) + offset;
      const D v = atLeast(zero, D::load(squares + i) - sum * offset) / divisor;
      store(mean + i, m);
      store(centre + i, zeroWhereLess(m * m, v * all<D>(0.25), m));
      store(rstd + i, all<D>(1) / squareRoot(v + all<D>(set.epsilon)));
    }
  }
};

// Calls body with each vector of a row, the lanes behind its end being `fill`.
template <typename V, typename T, typename Body>
ALWAYS_INLINE void forEachVector(const T* row, size_t length, V fill, Body body) {
  size_t i = 0;
  for (; i + V::lanes <= length; i += V::lanes) body(V::load(row + i));
  if (i < length) body(loadPart(row + i, length - i, fill));
}

// The sums of the lanes of each of a few vectors, in double: with sumOfEach(), which adds floats, the standard
// deviation would have an error of more than half a unit in the last place.
template <typename V>
ALWAYS_INLINE void storeSumOfEach(double* sums, const V* vectors) {
  for (size_t r = 0; r < V::lanes; ++r) sums[r] = sum(vectors[r]);
}

// Rows of a few vectors, as many as V has lanes at most: the sums of all lanes are one vector, a row to a lane. The
// shift is the mean.
template <typename V, typename T, typename D>
void sumTinyRows(const T* x, size_t length, size_t begin, size_t end, Batch<D>& batch) {
  constexpr size_t lanes = V::lanes;
  using Scalar = typename V::Scalar;
  const T* rows = x + begin * length;
  const size_t count = end - begin;
  V values[lanes];
  V squares[lanes];
  for (size_t r = 0; r < count; ++r) {
    V total = all<V>(0);
    forEachVector(rows + r * length, length, total, [&](V v) { total = total + v; });
    values[r] = total;
  }
  for (size_t r = count; r < lanes; ++r) values[r] = squares[r] = all<V>(0);
  Scalar shifts[lanes];
  store(shifts, sumOfEach(values) / all<V>(static_cast<Scalar>(length)));
  for (size_t r = 0; r < count; ++r) {
    const V shift = all<V>(shifts[r]);
    Sums<V> sums;
    forEachVector(rows + r * length, length, shift, [&](V v) { sums.add(v - shift); });
    values[r] = sums.values;
    squares[r] = sums.squares;
  }
  for (size_t r = 0; r < lanes; r += D::lanes) store(batch.shift + begin + r, D::load(shifts + r));
  storeSumOfEach<V>(batch.values + begin, values);
  storeSumOfEach<V>(batch.squares + begin, squares);
}

template <typename V, typename T, typename D>
void sumRows(const T* x, const RowSet& set, size_t count, Batch<D>& batch) {
  const size_t length = set.length;
  if (length > 8 * V::lanes) {
    // All shifts first: no row waits for its own.
    typename V::Scalar shifts[Batch<D>::most];
    for (size_t i = 0; i < count; ++i) shifts[i] = firstShift<V>(x + i * length, length);
    for (size_t i = 0; i < count; ++i) {
      batch.put(i, totalsOf<V>(x + i * length, length, shifts[i], set.leastSquares));
    }
    return;
  }
  for (size_t i = 0; i < count; i += V::lanes) {
    sumTinyRows<V>(x, length, i, count - i < V::lanes ? count : i + V::lanes, batch);
  }
  if (fits(x, batch.allSquares(count), 0) && set.leastSquares == 0) return;
  for (size_t i = 0; i < count; ++i) {
    if (!fits(x, batch.squares[i], set.leastSquares)) batch.put(i, wideTotals(x + i * length, length));
  }
}

template <typename V, typename D, typename T>
void shortRows(const RowSet& rows, size_t begin, size_t end) {
  const RowSet set = rows;  // what is written to y cannot change it
  const size_t fitting = kShortRow / set.length;
  const size_t atOnce = fitting < Batch<D>::most ? fitting : Batch<D>::most;
  const T* x = static_cast<const T*>(set.x);
  const T* residual = static_cast<const T*>(set.residual);
  T* y = static_cast<T*>(set.y);
  withOutput<V, T>(set, [&](auto output) {
    using Out = typename decltype(output)::type;
    using Scalar = typename V::Scalar;
    Batch<D> batch;
    size_t group = begin % set.groups;
    for (size_t first = begin; first < end; first += atOnce) {
      const size_t count = end - first < atOnce ? end - first : atOnce;
      sumRows<V>(x + first * set.length, set, count, batch);
      batch.finish(count, set);
      for (size_t i = 0; i < count; ++i) {
        const double rstd = batch.rstd[i];
        if (needsWide(set.dtype, rstd, set.largestScale)) {
          const Standard standard = {batch.mean[i], batch.centre[i], rstd};
          wideNormalize(set.dtype, rowOf(set, sizeof(T), first + i, standard), 0, set.length);
        } else {
          const T* scale = static_cast<const T*>(set.scale) + group * set.channels;
          const T* bias = static_cast<const T*>(set.bias) + group * set.channels;
          const size_t at = (first + i) * set.length;
          const Scalar centre = static_cast<Scalar>(batch.centre[i]);
          Out{set.channels, set.spatial, scale, bias, centre, batch.mean[i] - static_cast<double>(centre), rstd}.run(
              {x + at, residual ? residual + at : nullptr, y + at, set.length}, 0);
        }
        group = group + 1 == set.groups ? 0 : group + 1;
      }
    }
  });
  if (set.streaming) V::endStreaming();
}

}  // namespace
}  // namespace group_norm
