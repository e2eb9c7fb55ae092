#include "report/frame.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

namespace switchyard::report {
namespace {

using testing::DoubleEq;
using testing::ElementsAre;
using testing::Pointwise;

TEST(Scale, maps_ends_to_ends_in_either_direction) {
  const Scale x{10, 20, 100, 300};
  EXPECT_DOUBLE_EQ(x(10), 100);
  EXPECT_DOUBLE_EQ(x(15), 200);
  EXPECT_DOUBLE_EQ(x(20), 300);
  const Scale y{0, 4, 200, 0};
  EXPECT_DOUBLE_EQ(y(1), 150);
}

TEST(NiceTicks, are_1_2_or_5_times_a_power_of_ten) {
  EXPECT_THAT(nice_ticks({0, 10}, 5).values, ElementsAre(0, 2, 4, 6, 8, 10));
  EXPECT_THAT(nice_ticks({0, 2.3}, 5).values, ElementsAre(0, 0.5, 1, 1.5, 2, 2.5));
  EXPECT_THAT(nice_ticks({0, 97}, 5).values, ElementsAre(0, 20, 40, 60, 80, 100));
  EXPECT_THAT(nice_ticks({0, 0.0042}, 4).values,
              Pointwise(DoubleEq(), {0.0, 0.001, 0.002, 0.003, 0.004, 0.005}));
  EXPECT_THAT(nice_ticks({-3, 4}, 4).values, ElementsAre(-4, -2, 0, 2, 4));
}

TEST(NiceTicks, end_where_the_values_do_if_that_is_a_tick) {
  EXPECT_DOUBLE_EQ(nice_ticks({0.3, 0.8}, 5).low, 0.3) << "0.3 / 0.1 is not quite 3";
  EXPECT_DOUBLE_EQ(nice_ticks({0, 0.1 + 0.2}, 3).high, 0.3) << "0.1 + 0.2 is a little more than 0.3";
}

TEST(NiceTicks, hold_every_span) {
  for (const double low : {-1e6, -3.7, -1e-9, 0.0, 1e-12, 0.3, 77.7, 1e9}) {
    for (const double length : {1e-3, 0.7, 1.0, 9.99, 1234.5, 1e8}) {
      const Ticks ticks = nice_ticks({low, low + length}, 5);
      EXPECT_LE(ticks.low, low + 1e-6 * length);
      EXPECT_GE(ticks.high, low + length - 1e-6 * length);
      EXPECT_GE(ticks.values.size(), 2U);
      EXPECT_LE(ticks.values.size(), 10U);
    }
  }
}

TEST(NiceTicks, widen_a_span_of_nothing) {
  for (const double value : {0.0, 0.25, -7.0, 1e12, 1e-300}) {
    const Ticks ticks = nice_ticks({value, value}, 5);
    EXPECT_LT(ticks.low, ticks.high) << value;
    EXPECT_LE(ticks.low, value) << value;
    EXPECT_GE(ticks.high, value) << value;
  }
  const double infinity = std::numeric_limits<double>::infinity();
  EXPECT_THAT(nice_ticks({infinity, -infinity}, 5).values,
              Pointwise(DoubleEq(), {0.0, 0.2, 0.4, 0.6, 0.8, 1.0}));
}

TEST(NiceTicks, of_whole_things_have_no_halves) {
  EXPECT_THAT(nice_ticks({0, 2}, 10, TickKind::whole).values, ElementsAre(0, 1, 2));
}

TEST(TicksWithin, keep_the_ends) {
  const Ticks ticks = ticks_within({1, 2160}, 6, TickKind::whole);
  EXPECT_EQ(ticks.low, 1);
  EXPECT_EQ(ticks.high, 2160);
  EXPECT_THAT(ticks.values, ElementsAre(500, 1000, 1500, 2000));
  EXPECT_THAT(ticks_within({1, 3}, 6, TickKind::whole).values, ElementsAre(1, 2, 3));
}

}  // namespace
}  // namespace switchyard::report
