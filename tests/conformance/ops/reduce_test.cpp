#include "ops/reduce.hpp"

#include <cmath>

#include "base/error.hpp"
#include "conformance/ops/executors.hpp"
#include "device/thread_pool.hpp"

namespace switchyard::ops {
namespace {

// The documented tree, in the type of the op.
template <class T>
T tree(const std::vector<T>& values, std::size_t begin, std::size_t end) {
  if (begin == end) return 0;
  if (end - begin == 1) return values[begin];
  const std::size_t middle = begin + (end - begin) / 2;
  return tree(values, begin, middle) + tree(values, middle, end);
}

TEST(SumPartials, adds_in_the_order_of_the_documented_tree) {
  for (const index_t partials : {0, 1, 2, 3, 5, 7, 8, 13, 64}) {
    for (const index_t count : {0, 1, 33, 511, 512, 1025}) {
      const index_t stride = count + partials % 3;  // rows side by side, and rows with something between
      const std::vector<float> x = random_values(partials * stride, 1);
      const auto sums = on_every_executor("sum_partials", [&](device::Context& context) {
        std::vector<float> out(static_cast<std::size_t>(count), -1.0F);
        sum_partials(context, {x.data(), partials, count, stride}, out);
        return out;
      });
      for (index_t i = 0; i < count; ++i) {
        std::vector<float> column;
        for (index_t p = 0; p < partials; ++p) column.push_back(x[static_cast<std::size_t>(p * stride + i)]);
        ASSERT_EQ(sums[static_cast<std::size_t>(i)], tree(column, 0, column.size()))
            << partials << " partials, element " << i;
      }
    }
  }
}

TEST(SumPartials, refuses_a_wrong_number_of_columns) {
  device::Context context(1);
  std::vector<float> out(4);
  const std::vector<float> x(6);
  EXPECT_THROW(sum_partials(context, {x.data(), 2, 3}, out), ContractViolation);
}

TEST(SumTree, adds_in_the_order_of_the_documented_tree) {
  for (std::size_t count = 0; count < 20; ++count) {
    std::vector<double> values;
    for (std::size_t i = 0; i < count; ++i) values.push_back(std::sin(static_cast<double>(i)) * 1e3);
    EXPECT_EQ(sum_tree(values), tree(values, 0, count)) << count;
  }
}

TEST(SquaredSum, is_a_float64_sum) {
  for (const index_t count : {0, 1, 31, 33, 8191, 8192, 8193, 40000}) {
    const std::vector<float> x = random_values(count, 2);
    const auto sum = on_every_executor(
        "squared_sum", [&](device::Context& context) { return std::vector<double>{squared_sum(context, x)}; });
    double expected = 0;
    for (const float v : x) expected += static_cast<double>(v) * static_cast<double>(v);
    EXPECT_NEAR(sum[0], expected, 1e-13 * expected) << count;
  }
}

TEST(SquaredSum, can_run_in_tasks_of_a_pool) {
  device::Context context(3);
  const std::vector<float> x = random_values(20000, 3);
  const double alone = squared_sum(context, x);
  std::vector<double> sums(12);
  context.pool().parallel_for(12,
                              [&](index_t i) { sums[static_cast<std::size_t>(i)] = squared_sum(context, x); });
  EXPECT_EQ(sums, std::vector<double>(12, alone));
}

// Lane l takes elements l, l + 32, ...; then lanes 16 apart are added, 8 apart, and so on.
TEST(AddSum, adds_by_lanes_in_float64) {
  for (const index_t count : {0, 1, 5, 8, 31, 32, 33, 100, 777}) {
    const std::vector<float> values = random_values(count, 12, 100.0F);
    const auto got = on_every_executor("add_sum", [&](device::Context& context) {
      std::vector<double> sums = {0.5, 0.5};
      add_sum(context, values, sums[0]);
      add_sum(context, std::vector<double>(values.begin(), values.end()), sums[1]);
      return sums;
    });
    double lanes[32] = {};
    for (std::size_t i = 0; i < values.size(); ++i) lanes[i % 32] += static_cast<double>(values[i]);
    for (int width = 16; width > 0; width /= 2)
      for (int l = 0; l < width; ++l) lanes[l] += lanes[l + width];
    EXPECT_EQ(got[0], 0.5 + lanes[0]) << count;
    EXPECT_EQ(got[1], got[0]);
  }
}

TEST(AddTo, adds_element_by_element) {
  const std::vector<float> values = random_values(10'000, 1);
  const auto sums = on_every_executor("add_to", [&](device::Context& context) {
    std::vector<float> result = random_values(10'000, 2);
    add_to(context, values, result);
    return result;
  });
  const std::vector<float> before = random_values(10'000, 2);
  for (std::size_t i = 0; i < sums.size(); ++i) ASSERT_EQ(sums[i], before[i] + values[i]) << i;
  device::Context context(1);
  std::vector<float> shorter(9'999);
  EXPECT_THROW(add_to(context, values, shorter), ContractViolation);
}

}  // namespace
}  // namespace switchyard::ops
