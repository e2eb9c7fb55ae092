#include "study/statistics.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace switchyard::study {
namespace {

// Student's own data (1908): additional hours of sleep with one drug more than with another, ten patients. R's
// t.test(extra ~ group, data = sleep, paired = TRUE) prints mean 1.58, interval 0.7001142 to 2.4598858.
const std::vector<double> student = {1.2, 2.4, 1.3, 1.3, 0.0, 1.0, 1.8, 0.8, 4.6, 1.4};

TEST(StudyStatistics, mean_and_sample_deviation) {
  const MeanAndDeviation found = mean_and_deviation(student);
  EXPECT_EQ(found.n, 10);
  EXPECT_NEAR(found.mean, 1.58, 1e-15);
  EXPECT_NEAR(found.standard_deviation, 1.229995, 1e-6);
}

TEST(StudyStatistics, interval_of_students_data) {
  const Interval found = interval_of_mean(student);
  EXPECT_EQ(found.n, 10);
  EXPECT_NEAR(found.mean, 1.58, 1e-15);
  EXPECT_NEAR(found.low, 0.7001142, 1e-7);
  EXPECT_NEAR(found.high, 2.4598858, 1e-7);
}

TEST(StudyStatistics, interval_of_two_values_uses_one_degree_of_freedom) {
  // t of 0.975 with one degree of freedom is tan(0.475 pi) = 12.7062.
  const Interval found = interval_of_mean(std::vector<double>{0.0, 2.0});
  EXPECT_NEAR(found.high - found.low, 2 * std::tan(0.475 * M_PI), 1e-9);
}

TEST(StudyStatistics, few_values_have_no_deviation) {
  EXPECT_TRUE(std::isnan(mean_and_deviation({}).mean));
  const std::vector<double> one = {3};
  EXPECT_EQ(mean_and_deviation(one).mean, 3);
  EXPECT_TRUE(std::isnan(mean_and_deviation(one).standard_deviation));
  EXPECT_TRUE(std::isnan(interval_of_mean(one).low));
  EXPECT_EQ(interval_of_mean(one).mean, 3);
}

}  // namespace
}  // namespace switchyard::study
