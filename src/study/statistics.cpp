#include "study/statistics.hpp"

#include <boost/math/distributions/students_t.hpp>
#include <cmath>
#include <limits>

namespace switchyard::study {
namespace {

constexpr double unknown = std::numeric_limits<double>::quiet_NaN();

}  // namespace

MeanAndDeviation mean_and_deviation(Span<const double> values) {
  MeanAndDeviation result{.n = std::ssize(values), .mean = unknown, .standard_deviation = unknown};
  if (values.empty()) return result;
  const auto n = static_cast<double>(values.size());
  double sum = 0;
  for (const double value : values) sum += value;
  result.mean = sum / n;
  if (values.size() < 2) return result;
  // sd^2 = sum_i (x_i - mean)^2 / (n - 1)
  double squares = 0;
  for (const double value : values) squares += (value - result.mean) * (value - result.mean);
  result.standard_deviation = std::sqrt(squares / (n - 1));
  return result;
}

Interval interval_of_mean(Span<const double> values) {
  constexpr double confidence = 0.95;
  const MeanAndDeviation of = mean_and_deviation(values);
  Interval interval{.n = of.n, .mean = of.mean, .low = unknown, .high = unknown};
  if (of.n < 2) return interval;
  const auto n = static_cast<double>(of.n);
  const boost::math::students_t distribution(n - 1);
  const double t = boost::math::quantile(boost::math::complement(distribution, (1 - confidence) / 2));
  const double half = t * of.standard_deviation / std::sqrt(n);
  interval.low = of.mean - half;
  interval.high = of.mean + half;
  return interval;
}

}  // namespace switchyard::study
