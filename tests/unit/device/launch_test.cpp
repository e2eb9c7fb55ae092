// The executors of the CPU: equal bits, and tests that find what production would hide.
#include "device/launch.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <cmath>
#include <cstring>
#include <limits>
#include <thread>
#include <vector>

#include "support/row_kernels/run.hpp"

namespace switchyard::device {
namespace {

std::vector<float> values(index_t count) {
  std::vector<float> x(static_cast<std::size_t>(count));
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = 10.0F * std::sin(1.0F + static_cast<float>(i));
  return x;
}

// Results of the sums of `rows` rows: float sums and maxima, then double sums, as bytes.
struct Sums {
  std::vector<float> sums, maxima;
  std::vector<double> double_sums;
  bool operator==(const Sums&) const = default;
};
Sums sums_on(Context context, const std::vector<float>& in, index_t rows) {
  const auto size = static_cast<std::size_t>(rows);
  Sums result{std::vector<float>(size), std::vector<float>(size), std::vector<double>(size)};
  test::sums_through_scratch(context, {in.data(), rows, static_cast<index_t>(in.size()) / rows},
                             result.sums.data(), result.double_sums.data(), result.maxima.data());
  return result;
}

TEST(Launch, sums_have_the_same_bits_on_every_executor) {
  const index_t rows = 5;
  for (const index_t cols : {1, 31, 32, 33, 100}) {
    const std::vector<float> in = values(rows * cols);
    const Sums result = sums_on(Context(1), in, rows);
    EXPECT_EQ(sums_on(Context(3), in, rows), result) << cols;
    EXPECT_EQ(sums_on(Context::concurrent(3), in, rows), result) << cols;
    EXPECT_EQ(sums_on(Context::concurrent(8), in, rows), result) << cols;
    for (std::size_t row = 0; row < static_cast<std::size_t>(rows); ++row) {
      double sum = 0;
      double max = 0;
      for (std::size_t c = 0; c < static_cast<std::size_t>(cols); ++c) {
        const double x = in[row * static_cast<std::size_t>(cols) + c];
        sum += x * x;
        max = std::max(max, x * x);
      }
      EXPECT_NEAR(result.sums[row], sum, 1e-6 * sum);  // 100 positive terms in 32 lanes: a few units of 2^-24
      EXPECT_NEAR(result.double_sums[row], sum, 1e-6 * sum);  // of squares that were rounded to float
      EXPECT_NEAR(result.maxima[row], max, 1e-7 * max);
    }
  }
}

TEST(Launch, rows_in_place_have_the_same_bits_on_every_executor) {
  for (const index_t cols : {1, 2, 33, 65}) {
    const auto run = [&](Context context) {
      std::vector<float> x = values(4 * cols);
      test::normalise_and_reverse(context, {x.data(), 4, cols}, 0);
      return x;
    };
    const std::vector<float> result = run(Context(1));
    EXPECT_EQ(run(Context(2)), result);
    EXPECT_EQ(run(Context::concurrent(4)), result);
  }
}

TEST(Launch, elements_are_reached_once_at_every_count) {
  Context context(3);
  for (const index_t count : {0, 1, 8191, 8192, 8193, 100'000}) {
    const std::vector<float> x = values(count);
    std::vector<float> out(x.size(), -1.0F);
    test::square_plus_index(context, count, x.data(), out.data());
    for (std::size_t i = 0; i < out.size(); ++i) ASSERT_EQ(out[i], x[i] * x[i] + static_cast<float>(i));
  }
}

// max of f over [0, n).
struct Maximum {
  const float* x;
  index_t count;
  float* out;
  index_t scratch_bytes() const { return 0; }
  void operator()(const auto& team, index_t) const {
    const float max = team.max(count, [&](index_t i) { return x[i]; });
    team.once([&] { *out = max; });
  }
};
float maximum(Context context, const std::vector<float>& x) {
  float result = 0;
  for_each_row(context, 1, Maximum{x.data(), static_cast<index_t>(x.size()), &result});
  return result;
}

TEST(Team, maximum_of_nothing_is_minus_infinity_and_nan_is_never_it) {
  constexpr float infinity = std::numeric_limits<float>::infinity();
  constexpr float nan = std::numeric_limits<float>::quiet_NaN();
  for (const bool concurrent : {false, true}) {
    const auto context = [&] { return concurrent ? Context::concurrent(3) : Context(1); };
    EXPECT_EQ(maximum(context(), {}), -infinity);
    EXPECT_EQ(maximum(context(), {nan, -3.0F, nan}), -3.0F);
    EXPECT_EQ(maximum(context(), std::vector<float>(70, -7.0F)), -7.0F);
  }
}

struct PlaceOfMaximum {
  const float* x;
  index_t count;
  index_t* place;
  void operator()(const auto& team, index_t) const {
    const index_t best = argmax(team, count, [&](index_t i) { return x[i]; });
    team.once([&] { *place = best; });
  }
};

index_t place_of_maximum(Context context, const std::vector<float>& x) {
  index_t place = -1;
  for_each_row(context, 1, PlaceOfMaximum{x.data(), static_cast<index_t>(x.size()), &place});
  return place;
}

TEST(Team, maximum_is_found_at_its_lowest_place) {
  constexpr float infinity = std::numeric_limits<float>::infinity();
  constexpr float nan = std::numeric_limits<float>::quiet_NaN();
  for (index_t count = 0; count <= 70; ++count) {
    for (const std::vector<float>& drawn : {std::vector<float>{1, 2, 3, 4, 5},
                                            {0.0F, -0.0F},
                                            {-infinity, nan},
                                            {-infinity, nan, -3.0F},
                                            {nan},
                                            {infinity, nan, 1.0F}}) {
      std::vector<float> x;
      for (index_t i = 0; i < count; ++i) x.push_back(drawn[as_size(7 * i * i + 3 * i) % drawn.size()]);
      index_t expected = 0;
      for (index_t i = 0; i < count; ++i) {
        const bool first =
            std::isnan(x[as_size(expected)]) && !std::isnan(x[as_size(i)]) && x[as_size(i)] > -infinity;
        if (first || x[as_size(i)] > x[as_size(expected)]) expected = i;
      }
      for (const bool concurrent : {false, true}) {
        ASSERT_EQ(place_of_maximum(concurrent ? Context::concurrent(3) : Context(1), x), expected)
            << count << " of " << drawn.size() << " values";
      }
    }
  }
}

TEST(Team, lanes_add_in_the_order_that_is_documented) {
  float lane[lane_count];
  for (int l = 0; l < lane_count; ++l) lane[l] = std::sin(static_cast<float>(l));
  float shuffled[lane_count];
  std::memcpy(shuffled, lane, sizeof(lane));
  for (int offset = 16; offset > 0; offset /= 2) {  // what the lanes of a warp do
    float next[lane_count];
    for (int l = 0; l < lane_count; ++l) next[l] = shuffled[l] + shuffled[l ^ offset];
    std::memcpy(shuffled, next, sizeof(next));
  }
  for (const float value : shuffled) EXPECT_EQ(value, butterfly_sum(lane));
}

// Each thread of the team writes its part of the scratch, and thread 0 is late. Without a sync the others read
// what it has yet to write: the NaN that the executor filled the scratch with.
struct LateWriter {
  bool with_sync;
  float* out;
  index_t scratch_bytes() const { return 16; }
  void operator()(const auto& team, index_t) const {
    float* const scratch = team.template scratch<float>();
    team.for_each(2, [&](index_t i) {
      if (i == 0) std::this_thread::sleep_for(std::chrono::milliseconds(50));
      scratch[i] = 1.0F;
    });
    if (with_sync) team.sync();
    team.for_each(2, [&](index_t i) { out[i] = scratch[1 - i]; });
  }
};

TEST(ConcurrentTeam, finds_a_missing_sync) {
#if !defined(__SANITIZE_THREAD__)  // which stops the test at this race: tests/unit/device/planted_race.cpp
  Context broken = Context::concurrent(2);
  float without[2] = {};
  for_each_row(broken, 1, LateWriter{false, without});
  EXPECT_TRUE(std::isnan(without[1]));
#endif
  Context sound = Context::concurrent(2);
  float with[2] = {};
  for_each_row(sound, 1, LateWriter{true, with});
  EXPECT_EQ(with[0], 1.0F);
  EXPECT_EQ(with[1], 1.0F);
}

}  // namespace
}  // namespace switchyard::device
