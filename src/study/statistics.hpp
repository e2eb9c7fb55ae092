// The statistics of a study's tables.
#pragma once

#include "base/ids.hpp"
#include "base/span.hpp"

namespace switchyard::study {

struct MeanAndDeviation {
  index_t n = 0;
  double mean = 0;                // NaN without values
  double standard_deviation = 0;  // of the sample, n - 1; NaN for fewer than two values
};
MeanAndDeviation mean_and_deviation(Span<const double> values);

// The mean of paired differences and its 95% confidence interval, from Student's t with n - 1 degrees of
// freedom: mean +- t sd / sqrt(n). The ends are NaN for fewer than two values.
struct Interval {
  index_t n = 0;
  double mean = 0;
  double low = 0;
  double high = 0;
};
Interval interval_of_mean(Span<const double> values);

}  // namespace switchyard::study
