// Count, mean and sum of squared deviations of some values, and how those of two parts become those of the whole.
#pragma once

namespace group_norm {

struct Moments {
  double count = 0;
  double mean = 0;
  double squares = 0;  // sum of (value - mean)^2
};

// Chan, Golub and LeVeque's update: exact in real arithmetic, and nothing cancels in it. `static` as in storage.h.
static inline Moments merge(const Moments& a, const Moments& b) {
  if (a.count == 0) return b;
  if (b.count == 0) return a;
  const double count = a.count + b.count;
  const double difference = b.mean - a.mean;
  const double share = b.count / count;
  return {count, a.mean + difference * share, a.squares + b.squares + difference * difference * (a.count * share)};
}

}  // namespace group_norm
