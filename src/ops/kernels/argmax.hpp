// The place of a row's maximum.
#pragma once

#include <limits>

#include "base/host_device.hpp"
#include "base/ids.hpp"

namespace switchyard::ops::kernels {

// The lowest i in [0, n) with the largest f(i), the same on every thread of the team; n <= 2^24, so that a
// place is exact as float. NaN is passed over. 0 if nothing is above -infinity.
template <class Team, class F>
SY_HD index_t argmax(const Team& team, index_t n, const F& f) {
  constexpr float nothing = -std::numeric_limits<float>::infinity();
  const float largest = team.max(n, f);
  if (!(largest > nothing)) return 0;
  return static_cast<index_t>(
      -team.max(n, [&](index_t i) { return f(i) == largest ? -static_cast<float>(i) : nothing; }));
}

}  // namespace switchyard::ops::kernels
