#include "ops/rows.hpp"

#include "conformance/ops/executors.hpp"
#include "numerics/ops/differences.hpp"

namespace switchyard::ops {
namespace {

// f = sum d_y * log_softmax(x).
TEST(LogSoftmaxBackward, agrees_with_finite_differences) {
  const index_t rows = 3, cols = 7;
  const std::vector<float> x = random_values(rows * cols, 1), d_y = random_values(rows * cols, 2);
  device::Context context(1);
  std::vector<float> y(x.size()), d_x(x.size());
  log_softmax(context, {x.data(), rows, cols}, {y.data(), rows, cols});
  log_softmax_backward(context, {y.data(), rows, cols}, {d_y.data(), rows, cols}, {d_x.data(), rows, cols});

  reference::Array logits = to_array({x.data(), rows, cols});
  const auto expected = testing::central_differences(logits.values, [&] {
    const reference::Array out = reference::log_softmax(logits);
    double sum = 0;
    for (std::size_t i = 0; i < d_y.size(); ++i) sum += static_cast<double>(d_y[i]) * out.values[i];
    return sum;
  });
  for (std::size_t i = 0; i < expected.size(); ++i) EXPECT_NEAR(static_cast<double>(d_x[i]), expected[i], 2e-6);
}

}  // namespace
}  // namespace switchyard::ops
