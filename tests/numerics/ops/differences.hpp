// Finite differences of a float64 function.
#pragma once

#include <cstddef>
#include <vector>

namespace switchyard::testing {

// d f / d x[i] for all i by central differences: (f(x + h) - f(x - h)) / 2h, error about h^2 f''' / 6 + 1e-16 f
// / h. x is changed and restored.
template <class F>
std::vector<double> central_differences(std::vector<double>& x, const F& f, double h = 1e-5) {
  std::vector<double> gradient;
  for (double& value : x) {
    const double kept = value;
    value = kept + h;
    const double above = f();
    value = kept - h;
    const double below = f();
    value = kept;
    gradient.push_back((above - below) / (2 * h));
  }
  return gradient;
}

}  // namespace switchyard::testing
