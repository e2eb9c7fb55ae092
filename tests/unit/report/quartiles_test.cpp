#include "report/charts.hpp"

#include <gtest/gtest.h>

namespace switchyard::report {
namespace {

// numpy.percentile(v, [25, 50, 75]) gave the numbers here.
TEST(Quartiles, agree_with_numpy) {
  const Quartiles four = quartiles({7, 15, 36, 39});
  EXPECT_DOUBLE_EQ(four.lower, 13);
  EXPECT_DOUBLE_EQ(four.median, 25.5);
  EXPECT_DOUBLE_EQ(four.upper, 36.75);
  const Quartiles eleven = quartiles({6, 7, 15, 36, 39, 40, 41, 42, 43, 47, 49});
  EXPECT_DOUBLE_EQ(eleven.lower, 25.5);
  EXPECT_DOUBLE_EQ(eleven.median, 40);
  EXPECT_DOUBLE_EQ(eleven.upper, 42.5);
}

TEST(Quartiles, whiskers_end_at_values_within_one_and_a_half_boxes) {
  const Quartiles box = quartiles({1, 2, 3, 4, 5, 100});
  EXPECT_DOUBLE_EQ(box.lower, 2.25);
  EXPECT_DOUBLE_EQ(box.upper, 4.75);
  EXPECT_EQ(box.lower_whisker, 1);
  EXPECT_EQ(box.upper_whisker, 5) << "100 is beyond 4.75 + 1.5 x 2.5";
}

TEST(Quartiles, whiskers_never_end_inside_the_box) {
  // The upper quartile, 25.75, lies between 1 and 100, and 100 is out of reach of 25.75 + 1.5 x 25.5 = 64.
  const Quartiles box = quartiles({0, 0.333, 1, 100});
  EXPECT_GE(box.upper_whisker, box.upper);
  EXPECT_LE(box.lower_whisker, box.lower);
}

TEST(Quartiles, do_not_depend_on_the_order_and_take_a_single_value) {
  EXPECT_DOUBLE_EQ(quartiles({39, 7, 36, 15}).median, 25.5);
  const Quartiles one = quartiles({3});
  EXPECT_EQ(one.lower_whisker, 3);
  EXPECT_EQ(one.lower, 3);
  EXPECT_EQ(one.median, 3);
  EXPECT_EQ(one.upper_whisker, 3);
}

}  // namespace
}  // namespace switchyard::report
