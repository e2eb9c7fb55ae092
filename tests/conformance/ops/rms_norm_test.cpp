#include "ops/rms_norm.hpp"

#include <cmath>

#include "conformance/ops/executors.hpp"
#include "support/tile_table.hpp"

namespace switchyard::ops {
namespace {

constexpr float epsilon = 1e-5F;

struct Case {
  index_t rows, cols;
  std::vector<float> x = random_values(rows * cols, 1, 3.0F);
  std::vector<float> weight = random_values(cols, 2);
  std::vector<float> d_y = random_values(rows * cols, 3);

  double value(const std::vector<float>& m, index_t r, index_t c) const { return m[as_size(r * cols + c)]; }
  double inverse(index_t r) const {
    double sum = 0;
    for (index_t c = 0; c < cols; ++c) sum += value(x, r, c) * value(x, r, c);
    return 1 / std::sqrt(sum / static_cast<double>(cols) + epsilon);
  }
  double along(index_t r) const {
    double sum = 0;
    for (index_t c = 0; c < cols; ++c) sum += weight[as_size(c)] * value(d_y, r, c) * value(x, r, c);
    return sum / static_cast<double>(cols);
  }
};

// y, d_x, d_weight one after the other.
std::vector<float> run(device::Context& context, const Case& of) {
  std::vector<float> y(of.x.size()), d_x = of.d_y, d_weight(of.weight.size()), inverse(as_size(of.rows));
  const tensor::ConstMatrix x(of.x.data(), of.rows, of.cols);
  rms_norm(context, x, of.weight, epsilon, {y.data(), of.rows, of.cols}, inverse);
  const test::TileTable tile({of.rows});
  rms_norm_weight_gradient(context, tile.view(), x, inverse, {of.d_y.data(), of.rows, of.cols}, d_weight.data(),
                           of.cols);
  const tensor::Matrix d(d_x.data(), of.rows, of.cols);
  rms_norm_backward(context, x, of.weight, inverse, d, d);
  std::vector<float> all = y;
  all.insert(all.end(), d_x.begin(), d_x.end());
  all.insert(all.end(), d_weight.begin(), d_weight.end());
  return all;
}

TEST(RmsNorm, equals_the_formula_forward_and_back) {
  for (const index_t rows : {index_t{0}, index_t{1}, index_t{7}}) {
    for (const index_t cols : {index_t{1}, index_t{5}, index_t{64}, index_t{1100}}) {
      const Case of{rows, cols};
      const auto got =
          on_every_executor("rms_norm", [&](device::Context& context) { return run(context, of); });
      const auto at = [&](index_t block, index_t r, index_t c) {
        return static_cast<double>(got[as_size(block * rows * cols + r * cols + c)]);
      };
      std::vector<double> d_weight(as_size(cols), 0.0);
      for (index_t r = 0; r < rows; ++r) {
        const double inverse = of.inverse(r);
        for (index_t c = 0; c < cols; ++c) {
          const double weight = of.weight[as_size(c)];
          const double x = of.value(of.x, r, c);
          EXPECT_NEAR(at(0, r, c), weight * x * inverse, 1e-5);
          const double d_x = inverse * (weight * of.value(of.d_y, r, c) - x * inverse * inverse * of.along(r));
          EXPECT_NEAR(at(1, r, c), d_x, 1e-5 * (1 + inverse));
          d_weight[as_size(c)] += of.value(of.d_y, r, c) * x * inverse;
        }
      }
      for (index_t c = 0; c < cols; ++c) EXPECT_NEAR(at(2, 0, c), d_weight[as_size(c)], 1e-5);
    }
  }
}

}  // namespace
}  // namespace switchyard::ops
