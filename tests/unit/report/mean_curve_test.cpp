#include "report/charts.hpp"

#include <gtest/gtest.h>

namespace switchyard::report {
namespace {

TEST(MeanCurve, is_the_mean_with_a_band_from_smallest_to_largest) {
  const Curve curve = mean_curve({{{1, 2}, {2, 4}, {3, 6}}, {{1, 4}, {2, 4}, {3, 0}}}, "two", 3);
  ASSERT_EQ(curve.points.size(), 3U);
  EXPECT_DOUBLE_EQ(curve.points[0].y, 3);
  EXPECT_DOUBLE_EQ(curve.points[2].y, 3);
  EXPECT_DOUBLE_EQ(curve.band[2].low, 0);
  EXPECT_DOUBLE_EQ(curve.band[2].high, 6);
  EXPECT_EQ(curve.colour, 3U);
}

TEST(MeanCurve, goes_on_when_a_run_ended_early) {
  const Curve curve = mean_curve({{{1, 10}, {2, 10}}, {{1, 20}, {2, 20}, {3, 20}, {4, 20}}}, "", 0);
  ASSERT_EQ(curve.points.size(), 4U);
  EXPECT_DOUBLE_EQ(curve.points[1].y, 15);
  EXPECT_DOUBLE_EQ(curve.points[3].y, 20);
  EXPECT_EQ(curve.points[3].x, 4);
}

TEST(MeanCurve, reads_a_run_between_its_points) {
  const Curve curve = mean_curve({{{0, 0}, {4, 8}}, {{0, 0}, {1, 0}, {2, 0}, {3, 0}, {4, 0}}}, "", 0);
  ASSERT_EQ(curve.points.size(), 5U);
  EXPECT_DOUBLE_EQ(curve.band[1].high, 2);
}

TEST(MeanCurve, of_nothing_is_nothing) {
  EXPECT_TRUE(mean_curve({}, "", 0).points.empty());
  EXPECT_TRUE(mean_curve({{}, {}}, "", 0).points.empty());
  EXPECT_EQ(mean_curve({{{5, 1}}}, "", 0).points.size(), 1U);
}

}  // namespace
}  // namespace switchyard::report
