#include "ops/glu.hpp"

#include <cmath>

#include "conformance/ops/executors.hpp"

namespace switchyard::ops {
namespace {

double silu(double g) { return g / (1 + std::exp(-g)); }

TEST(SwiGlu, equals_the_formula_and_its_differences) {
  for (const index_t rows : {index_t{0}, index_t{1}, index_t{5}}) {
    for (const index_t cols : {index_t{1}, index_t{7}, index_t{70}}) {
      const std::vector<float> x = random_values(rows * 2 * cols, 1, 4.0F), d_y = random_values(rows * cols, 2);
      const auto got = on_every_executor("swiglu", [&](device::Context& context) {
        std::vector<float> y(as_size(rows * cols)), d_x(x.size());
        const tensor::ConstMatrix in(x.data(), rows, 2 * cols);
        swiglu(context, in, {y.data(), rows, cols});
        swiglu_backward(context, in, {d_y.data(), rows, cols}, {d_x.data(), rows, 2 * cols});
        y.insert(y.end(), d_x.begin(), d_x.end());
        return y;
      });
      for (index_t r = 0; r < rows; ++r) {
        for (index_t c = 0; c < cols; ++c) {
          const double g = x[as_size(r * 2 * cols + c)], v = x[as_size((r * 2 + 1) * cols + c)];
          const double d = d_y[as_size(r * cols + c)];
          const auto d_x = [&](index_t at) {
            return static_cast<double>(got[as_size(rows * cols + r * 2 * cols + at)]);
          };
          constexpr double h = 1e-5;
          const double error = 1e-6 * (2 + std::abs(g * v));
          EXPECT_NEAR(static_cast<double>(got[as_size(r * cols + c)]), silu(g) * v, error);
          EXPECT_NEAR(d_x(c), d * v * (silu(g + h) - silu(g - h)) / (2 * h), error);
          EXPECT_NEAR(d_x(cols + c), d * silu(g), error);
        }
      }
    }
  }
}

TEST(SwiGlu, of_large_numbers_is_finite) {
  const std::vector<float> x = {-200.0F, 200.0F, 3.0F, 3.0F}, d_y = {1.0F, 1.0F};
  std::vector<float> y(2), d_x(4);
  device::Context context(1);
  swiglu(context, {x.data(), 1, 4}, {y.data(), 1, 2});
  swiglu_backward(context, {x.data(), 1, 4}, {d_y.data(), 1, 2}, {d_x.data(), 1, 4});
  EXPECT_EQ(y, (std::vector<float>{-0.0F, 600.0F}));
  EXPECT_EQ(d_x, (std::vector<float>{0.0F, 3.0F, -0.0F, 200.0F}));
}

}  // namespace
}  // namespace switchyard::ops
