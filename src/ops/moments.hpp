// Mean and variance of values that lie in many places.
#pragma once

#include "base/host_device.hpp"

namespace switchyard::ops {

// count, mean and sum of squared deviations of the values of one channel, mergeable in a fixed order (Chan,
// Golub and LeVeque 1979).
struct Moments {
  double count = 0;
  double mean = 0;
  double m2 = 0;
};

// m2 = m2_a + m2_b + delta^2 n_a n_b / n, mean = mean_a + delta n_b / n. An empty side changes nothing.
SY_HD inline Moments merge(const Moments& a, const Moments& b) {
  if (a.count == 0) return b;
  if (b.count == 0) return a;
  const double n = a.count + b.count;
  const double delta = b.mean - a.mean;
  return {n, a.mean + delta * (b.count / n), a.m2 + b.m2 + delta * delta * (a.count * b.count / n)};
}

}  // namespace switchyard::ops
