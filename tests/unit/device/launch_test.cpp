#include "device/launch.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <vector>

namespace switchyard::device {
namespace {

// Sum and maximum of each row, through scratch.
struct RowSums {
  const float* in;
  index_t cols;
  float* sums;
  float* maxima;
  index_t scratch_bytes() const { return cols * static_cast<index_t>(sizeof(float)); }
  template <class Team>
  SY_HD void operator()(const Team& team, index_t row) const {
    float* const squares = team.template scratch<float>();
    const float* const x = in + row * cols;
    team.for_each(cols, [&](index_t i) { squares[i] = x[i] * x[i]; });
    team.sync();
    const float sum = team.sum(cols, [&](index_t i) { return squares[cols - 1 - i]; });
    const float max = team.max(cols, [&](index_t i) { return squares[i]; });
    team.once([&] {
      sums[row] = sum;
      maxima[row] = max;
    });
  }
};

TEST(Launch, gives_the_same_bits_on_every_executor) {
  const index_t rows = 5;
  for (const index_t cols : {1, 31, 32, 33, 100}) {
    std::vector<float> in(static_cast<std::size_t>(rows * cols));
    for (std::size_t i = 0; i < in.size(); ++i) in[i] = std::sin(static_cast<float>(i)) * 10.0F;
    std::vector<std::vector<float>> results;
    const auto run = [&](Context context) {
      std::vector<float> out(static_cast<std::size_t>(2 * rows));
      for_each_row(context, rows, RowSums{in.data(), cols, out.data(), out.data() + rows});
      results.push_back(out);
    };
    run(Context(1));
    run(Context(3));
    run(Context::concurrent(3));
    run(Context::concurrent(8));
    for (const auto& result : results) {
      EXPECT_EQ(std::memcmp(result.data(), results[0].data(), result.size() * sizeof(float)), 0) << cols;
    }
    double expected = 0;
    for (index_t c = 0; c < cols; ++c) expected += static_cast<double>(in[static_cast<std::size_t>(c)]) * in[static_cast<std::size_t>(c)];
    EXPECT_NEAR(results[0][0], expected, 1e-5 * expected);
  }
}

TEST(Workspace, allocates_nothing_once_it_is_warm) {
  Workspace workspace;
  for (int step = 0; step < 3; ++step) {
    workspace.reset();
    (void)workspace.allocate<float>(1000);
    (void)workspace.allocate<double>(5'000'000);
    (void)workspace.allocate<char>(7);
  }
  const std::size_t capacity = workspace.capacity_bytes();
  workspace.reset();
  const auto floats = workspace.allocate<float>(1000);
  const auto doubles = workspace.allocate<double>(5'000'000);
  EXPECT_EQ(workspace.capacity_bytes(), capacity);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(doubles.data()) % alignment_bytes, 0U);
  EXPECT_NE(static_cast<void*>(floats.data()), static_cast<void*>(doubles.data()));
}

}  // namespace
}  // namespace switchyard::device
