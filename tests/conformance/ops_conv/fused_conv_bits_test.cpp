// The fused convolution gives the same bits on every executor, wherever its rows lie and whatever lies beside
// them.
#include <gtest/gtest.h>

#include <cstring>
#include <limits>
#include <optional>

#include "device/thread_pool.hpp"
#include "support/conv_case.hpp"
#include "support/row_places.hpp"

namespace switchyard::ops {
namespace {

using testing::ConvCase;
using testing::Values;

template <class T>
void expect_same_bits(const std::vector<T>& a, const std::vector<T>& b, const char* what) {
  ASSERT_EQ(a.size(), b.size()) << what;
  EXPECT_TRUE(a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0) << what;
}

void expect_same_results(const ConvCase& a, const ConvCase& b) {
  expect_same_bits(a.out, b.out, "out");
  expect_same_bits(a.argmax_place, b.argmax_place, "argmax_place");
  expect_same_bits(a.gradients, b.gradients, "gradients");
  expect_same_bits(a.patch_sums, b.patch_sums, "patch_sums");
  expect_same_bits(a.moments, b.moments, "moments");
  expect_same_bits(a.sum_dy, b.sum_dy, "sum_dy");
  expect_same_bits(a.sum_dy_x, b.sum_dy_x, "sum_dy_x");
}

// Every op, the backward without batch norm last, since both write d_weight: `bn_d_weight` keeps the other.
struct AllOps {
  AllOps(device::Context context, const FusedConvShape& shape, index_t rows,
         std::optional<tensor::RowSource> images = std::nullopt)
      : c(shape, rows, Values::real) {
    const std::size_t channels = c.bias.size();
    c.mean = std::vector<double>(channels, 0.3);
    c.inv_std = std::vector<double>(channels, 0.7);
    c.mean_dy = std::vector<double>(channels, 0.01);
    c.mean_dy_xhat = std::vector<double>(channels, -0.02);
    const tensor::RowSource from = images ? *images : c.source();
    c.compute_moments(context, from);
    c.forward(context, from);
    c.backward_sums(context, from);
    c.bn_backward(context);
    bn_d_weight = c.d_weight();
    c.backward(context, from);
  }
  ConvCase c;
  testing::Floats bn_d_weight;
};

void expect_same(const AllOps& a, const AllOps& b) {
  expect_same_results(a.c, b.c);
  expect_same_bits(a.bn_d_weight, b.bn_d_weight, "d_weight with batch norm");
}

TEST(FusedConvBits, are_the_same_on_every_executor) {
  for (const auto& [shape, rows] : {std::pair<FusedConvShape, index_t>{{1, 28, 28, 3}, 11},
                                    {{2, 9, 37, 2}, 3},
                                    {{3, 7, 7, 1}, 9},
                                    {{3, 8, 32, 2, 1}, 9}}) {
    const AllOps expected(device::Context(1), shape, rows);
    expect_same(expected, AllOps(device::Context(3), shape, rows));
    expect_same(expected, AllOps(device::Context::concurrent(1), shape, rows));
    expect_same(expected, AllOps(device::Context::concurrent(2), shape, rows));
    expect_same(expected, AllOps(device::Context::concurrent(5), shape, rows));
  }
}

TEST(FusedConvBits, do_not_depend_on_where_the_rows_lie) {
  const FusedConvShape shape{2, 13, 17, 3};
  const index_t rows = 10;
  const AllOps expected(device::Context(1), shape, rows);
  // Rows in reverse order in memory, each between NaNs that must not be read.
  const std::size_t size = static_cast<std::size_t>(shape.in_features());
  testing::Floats scattered(static_cast<std::size_t>(rows) * (size + 40),
                            std::numeric_limits<float>::quiet_NaN());
  test::RowPlaces<const float> table;
  for (index_t row = 0; row < rows; ++row) {
    float* const to = scattered.data() + static_cast<std::size_t>(rows - 1 - row) * (size + 40) + 20;
    std::memcpy(to, expected.c.images.data() + static_cast<std::size_t>(row) * size, size * sizeof(float));
    table.push_back(to);
  }
  const tensor::RowSource images = table.view(shape.in_features());
  expect_same(expected, AllOps(device::Context(1), shape, rows, images));
  expect_same(expected, AllOps(device::Context::concurrent(3), shape, rows, images));
}

TEST(FusedConvBits, are_the_same_inside_a_task_of_the_pool) {
  const FusedConvShape shape{1, 28, 28, 2};
  const index_t rows = 20;
  device::Context context(3);
  ConvCase alone(shape, rows, Values::real);
  alone.forward(context);
  alone.backward(context);
  std::vector<ConvCase> tiles(6, alone);
  for (ConvCase& tile : tiles) {
    tile.out.assign(tile.out.size(), -1.0F);
    tile.gradients.assign(tile.gradients.size(), -1.0F);
  }
  context.pool().parallel_for(6, [&](index_t i) {
    ConvCase& tile = tiles[static_cast<std::size_t>(i)];
    tile.forward(context);
    tile.backward(context);
  });
  for (const ConvCase& tile : tiles) expect_same_results(alone, tile);
}

}  // namespace
}  // namespace switchyard::ops
