#include "report/binned_rows.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

namespace switchyard::report {
namespace {

BinnedRows counted(index_t records, index_t limit) {
  BinnedRows rows(limit);
  for (index_t i = 1; i <= records; ++i) {
    const double values[] = {static_cast<double>(i), 10.0 * static_cast<double>(i)};
    rows.add(static_cast<double>(i), values);
  }
  return rows;
}

TEST(BinnedRows, keeps_a_short_series_as_it_is) {
  const BinnedRows rows = counted(4, 4);
  EXPECT_EQ(rows.records_per_bin(), 1);
  const auto means = rows.means();
  ASSERT_EQ(means.size(), 4U);
  EXPECT_EQ(means[2].x, 3);
  EXPECT_THAT(means[2].values, testing::ElementsAre(3, 30));
}

TEST(BinnedRows, averages_neighbours_of_a_long_one) {
  const BinnedRows rows = counted(6, 4);
  EXPECT_EQ(rows.records_per_bin(), 2);
  const auto means = rows.means();
  ASSERT_EQ(means.size(), 3U);
  EXPECT_DOUBLE_EQ(means[0].x, 1.5);
  EXPECT_EQ(means[1].first, 3);
  EXPECT_EQ(means[1].last, 4);
  EXPECT_THAT(means[2].values, testing::ElementsAre(5.5, 55));
}

TEST(BinnedRows, loses_no_record_at_any_length_and_limit) {
  for (const index_t limit : {2, 3, 5, 24, 400}) {
    for (const index_t records : {1, 2, 3, 7, 100, 401, 5000}) {
      const BinnedRows rows = counted(records, limit);
      const auto means = rows.means();
      EXPECT_LE(static_cast<index_t>(means.size()), limit);
      double sum = 0;
      double next = 1;
      for (const auto& row : means) {
        EXPECT_EQ(row.first, next) << records << " records, " << limit;
        next = row.last + 1;
        sum += row.values[0] * (row.last - row.first + 1);
      }
      EXPECT_EQ(next, static_cast<double>(records) + 1);
      EXPECT_NEAR(sum, static_cast<double>(records * (records + 1)) / 2, 1e-6);
    }
  }
}

TEST(BinnedRows, gives_a_late_column_zeros_before) {
  BinnedRows rows(8);
  rows.add(1, std::vector<double>{4});
  rows.add(2, std::vector<double>{5, 6});
  EXPECT_THAT(rows.means()[0].values, testing::ElementsAre(4, 0));
  EXPECT_THAT(rows.means()[1].values, testing::ElementsAre(5, 6));
}

}  // namespace
}  // namespace switchyard::report
