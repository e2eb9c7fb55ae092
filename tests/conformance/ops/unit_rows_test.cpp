#include "ops/unit_rows.hpp"

#include <cmath>

#include "base/error.hpp"
#include "conformance/ops/executors.hpp"
#include "numerics/ops/differences.hpp"

namespace switchyard::ops {
namespace {

constexpr double base = 2.5;

// y of a row, from its definition.
std::vector<double> unit(const std::vector<double>& x, double log_length) {
  double square = 1e-6;
  for (const double value : x) square += value * value;
  std::vector<double> y;
  for (const double value : x) y.push_back(base * std::exp(log_length) * value / std::sqrt(square));
  return y;
}

TEST(UnitRows, have_the_length_that_is_asked_for_and_its_gradient) {
  constexpr index_t rows = 6;
  for (const index_t cols : {1, 2, 16, 129}) {
    for (const float size : {3.0F, 1e-2F, 0.0F}) {
      SCOPED_TRACE(::testing::Message() << cols << " columns up to " << size);
      const std::vector<float> x = random_values(rows * cols, 1, size);
      const std::vector<float> d_y = random_values(rows * cols, 2);
      const float log = 0.3F;
      // y, the gradient by x, and that by the logarithm of the length.
      const std::vector<float> got = on_every_executor("unit_rows", [&](device::Context& context) {
        std::vector<float> y(x.size()), d = d_y, along(as_size(rows)), inverse(as_size(rows));
        const RowLength length{static_cast<float>(base), &log};
        unit_rows(context, {x.data(), rows, cols}, length, {y.data(), rows, cols}, inverse);
        unit_rows_backward(context, {y.data(), rows, cols}, length, inverse, {d.data(), rows, cols}, along);
        y.insert(y.end(), d.begin(), d.end());
        y.insert(y.end(), along.begin(), along.end());
        return y;
      });
      for (index_t r = 0; r < rows; ++r) {
        std::vector<double> row(x.begin() + r * cols, x.begin() + (r + 1) * cols);
        std::vector<double> length = {static_cast<double>(log)};
        const auto value = [&] {
          const std::vector<double> y = unit(row, length[0]);
          double sum = 0;
          for (index_t c = 0; c < cols; ++c) sum += y[as_size(c)] * d_y[as_size(r * cols + c)];
          return sum;
        };
        const std::vector<double> y = unit(row, length[0]);
        const std::vector<double> d_x = testing::central_differences(row, value, 1e-7);  // short beside 1e-3
        const double d_length = testing::central_differences(length, value)[0];
        double square = 1e-6;
        for (const double of : row) square += of * of;
        for (index_t c = 0; c < cols; ++c) {
          EXPECT_NEAR(got[as_size(r * cols + c)], y[as_size(c)], 2e-6);
          EXPECT_NEAR(got[as_size((rows + r) * cols + c)], d_x[as_size(c)], 2e-5 / std::sqrt(square));
        }
        EXPECT_NEAR(got[as_size(2 * rows * cols + r)], d_length, 2e-5);
      }
    }
  }
}

TEST(UnitRows, are_as_long_as_1_where_nothing_is_said) {
  device::Context context(1);
  const std::vector<float> x = {3.0F, 4.0F};
  std::vector<float> y(2), inverse(1);
  unit_rows(context, {x.data(), 1, 2}, {}, {y.data(), 1, 2}, inverse);
  EXPECT_NEAR(y[0], 0.6, 1e-6);
  EXPECT_NEAR(inverse[0], 0.2, 1e-7);
  EXPECT_THROW(unit_rows(context, {x.data(), 2, 1}, {}, {y.data(), 2, 1}, inverse), ContractViolation);
  EXPECT_THROW(unit_rows_backward(context, {x.data(), 1, 2}, {}, inverse, {y.data(), 1, 2}, y),
               ContractViolation);
}

}  // namespace
}  // namespace switchyard::ops
