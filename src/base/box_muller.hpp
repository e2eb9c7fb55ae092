// Normal numbers from uniform ones.
#pragma once

#include <cmath>
#include <numbers>

namespace switchyard {

// Box and Muller 1958: of u and v, uniform in [0, 1), radius * cos(angle) and radius * sin(angle) are two
// independent standard normal numbers.
struct BoxMuller {
  double radius;
  double angle;

  BoxMuller(double u, double v)
      : radius(std::sqrt(-2.0 * std::log(1.0 - u))), angle(2.0 * std::numbers::pi * v) {}
};

}  // namespace switchyard
