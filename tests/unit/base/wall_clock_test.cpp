#include "base/wall_clock.hpp"

#include <gtest/gtest.h>

namespace switchyard {
namespace {

TEST(IsoTime, is_what_date_prints) {
  EXPECT_EQ(IsoTime(0).text(), "1970-01-01T00:00:00.000Z");
  EXPECT_EQ(IsoTime(1'700'000'000'125).text(), "2023-11-14T22:13:20.125Z");
  EXPECT_EQ(IsoTime(1'709'251'199'999).text(), "2024-02-29T23:59:59.999Z");
  EXPECT_EQ(IsoTime(-1).text(), "1969-12-31T23:59:59.999Z");
}

TEST(WallClock, runs) {
  EXPECT_GT(wall_milliseconds(), 1'700'000'000'000);
  EXPECT_LE(wall_milliseconds(), wall_milliseconds() + 1000);
}

}  // namespace
}  // namespace switchyard
