// Times of something repeated.
#pragma once

#include <algorithm>
#include <chrono>
#include <cmath>
#include <vector>

#include "base/ids.hpp"

namespace switchyard {

// Seconds per call. The machine is shared: medians and percentiles, no means.
class Times {
 public:
  void add(double seconds) { seconds_.push_back(seconds); }
  // share in [0, 1]: 0.5 is the median.
  double percentile(double share) const {
    std::vector<double> sorted = seconds_;
    std::ranges::sort(sorted);
    if (sorted.empty()) return 0;
    return sorted[as_size(std::lround(share * static_cast<double>(sorted.size() - 1)))];
  }
  std::size_t count() const { return seconds_.size(); }
  double median() const { return percentile(0.5); }
  double sum() const {
    double total = 0;
    for (const double s : seconds_) total += s;
    return total;
  }

 private:
  std::vector<double> seconds_;
};

template <class Action>
double seconds_of(const Action& action) {
  const auto begin = std::chrono::steady_clock::now();
  action();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

}  // namespace switchyard
