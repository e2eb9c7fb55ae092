#include "ops/conv2d.hpp"

#include "conformance/ops/executors.hpp"
#include "numerics/ops/differences.hpp"

namespace switchyard::ops {
namespace {

// f = sum d_y * conv(x), with stride and padding.
TEST(Conv2dBackward, agrees_with_finite_differences) {
  const reference::ConvCase c{2, 3, 6, 5, 4, 3, 2, 2, 1, 1, 1};
  const Conv2dShape shape{.batch = 2,
                          .in_channels = 3,
                          .height = 6,
                          .width = 5,
                          .out_channels = 4,
                          .kernel_height = 3,
                          .kernel_width = 2,
                          .stride_height = 2,
                          .stride_width = 1,
                          .padding_height = 1,
                          .padding_width = 1};
  const auto x = random_values(shape.in_count(), 1), weight = random_values(shape.weight_count(), 2);
  const auto bias = random_values(shape.out_channels, 3), d_y = random_values(shape.out_count(), 4);
  const auto d_y_first = channels_first(d_y, 2, shape.out_height() * shape.out_width(), 4);
  std::vector<float> d_x(x.size()), d_weight(weight.size()), d_bias(bias.size());
  conv2d_backward_data(shape, d_y.data(), weight.data(), d_x.data());
  conv2d_backward_weights(shape, x.data(), d_y.data(), d_weight.data(), d_bias.data());

  std::vector<double> wide_x(x.begin(), x.end()), wide_weight(weight.begin(), weight.end()),
      wide_bias(bias.begin(), bias.end());
  const auto f = [&] {
    const std::vector<double> y =
        reference::conv2d(c, channels_first(wide_x, 2, 30, 3), wide_weight, wide_bias);
    double sum = 0;
    for (std::size_t i = 0; i < y.size(); ++i) sum += static_cast<double>(d_y_first[i]) * y[i];
    return sum;
  };
  const auto expect_near = [](const std::vector<float>& got, const std::vector<double>& expected) {
    for (std::size_t i = 0; i < got.size(); ++i)
      EXPECT_NEAR(static_cast<double>(got[i]), expected[i], 5e-5) << i;
  };
  expect_near(d_x, testing::central_differences(wide_x, f));
  expect_near(d_weight, testing::central_differences(wide_weight, f));
  expect_near(d_bias, testing::central_differences(wide_bias, f));
}

}  // namespace
}  // namespace switchyard::ops
