#include "ops/conv2d.hpp"

#include <algorithm>
#include <cmath>

#include "base/error.hpp"
#include "conformance/ops/executors.hpp"
#include "ops/conv2d_columns.hpp"

namespace switchyard::ops {
namespace {

const reference::ConvCase cases[] = {
    {1, 1, 3, 3, 1, 3, 3, 1, 1, 0, 0},      // one place
    {2, 3, 8, 9, 5, 3, 3, 1, 1, 0, 0},      // odd channels
    {3, 16, 14, 14, 32, 3, 3, 1, 1, 1, 1},  // the blocks that oneDNN likes
    {2, 32, 7, 5, 16, 1, 1, 1, 1, 0, 0},    // 1 x 1
    {2, 3, 8, 8, 3, 1, 1, 2, 2, 0, 0},      // ... of every second pixel, few channels
    {3, 64, 8, 8, 128, 1, 1, 2, 2, 0, 0},   // ... many
    {2, 16, 7, 7, 16, 1, 1, 2, 2, 0, 0},    // ... of an odd image
    {3, 64, 9, 8, 32, 3, 3, 2, 2, 1, 1},    // 3 x 3 of every second pixel
    {2, 17, 11, 8, 19, 5, 3, 2, 3, 2, 1},   // everything uneven
};

Conv2dShape shape_of(const reference::ConvCase& c) {
  return {.batch = c.batch,
          .in_channels = c.in_channels,
          .height = c.height,
          .width = c.width,
          .out_channels = c.out_channels,
          .kernel_height = c.kernel_height,
          .kernel_width = c.kernel_width,
          .stride_height = c.stride_height,
          .stride_width = c.stride_width,
          .padding_height = c.padding_height,
          .padding_width = c.padding_width};
}

std::vector<double> wide(const std::vector<float>& values) { return {values.begin(), values.end()}; }

// `terms` products of values near 1, in any order.
void expect_near(const std::vector<float>& got, const std::vector<double>& expected, index_t terms) {
  ASSERT_EQ(got.size(), expected.size());
  const double tolerance = 0x1p-24 * static_cast<double>(terms + 2) * (static_cast<double>(terms) + 4);
  for (std::size_t i = 0; i < got.size(); ++i)
    ASSERT_NEAR(static_cast<double>(got[i]), expected[i], tolerance) << i;
}

struct ByLibrary {
  static void forward(const auto&... arguments) { conv2d_forward(arguments...); }
  static void backward_data(const auto&... arguments) { conv2d_backward_data(arguments...); }
  static void backward_weights(const auto&... arguments) { conv2d_backward_weights(arguments...); }
};
// What a GPU does, on a CPU.
struct ByColumns {
  device::Context& context;
  void forward(const auto&... arguments) const { conv2d_forward_by_columns(context, arguments...); }
  void backward_data(const auto&... arguments) const { conv2d_backward_data_by_columns(context, arguments...); }
  void backward_weights(Conv2dShape shape, const float* x, const float* d_y, float* d_weight,
                        float* d_bias) const {
    const auto images = static_cast<std::int32_t>(shape.batch);
    const Tile tile{0, images, images, 0};
    std::vector<float> gradient(as_size(shape.weight_count() + (d_bias == nullptr ? 0 : shape.out_channels)));
    conv2d_weight_gradients_by_columns(context, shape, TileView{&tile, 1, shape.batch}, x, d_y,
                                       {gradient.data(), 1, std::ssize(gradient)});
    std::copy_n(gradient.begin(), shape.weight_count(), d_weight);
    if (d_bias != nullptr) std::copy(gradient.begin() + shape.weight_count(), gradient.end(), d_bias);
  }
};

// Passes: forward, backward_data and backward_weights.
void expect_reference(const auto& passes) {
  for (const reference::ConvCase& c : cases) {
    const Conv2dShape s = shape_of(c);
    const index_t in_places = s.height * s.width;
    const index_t out_places = s.out_height() * s.out_width();
    const auto x = random_values(s.in_count(), 1), weight = random_values(s.weight_count(), 2);
    const auto bias = random_values(s.out_channels, 3), d_y = random_values(s.out_count(), 4);
    const auto x_first = wide(channels_first(x, s.batch, in_places, s.in_channels));
    const auto d_y_first = wide(channels_first(d_y, s.batch, out_places, s.out_channels));

    std::vector<float> y(d_y.size()), d_x(x.size()), d_weight(weight.size()), d_bias(bias.size());
    passes.forward(s, x.data(), weight.data(), bias.data(), y.data());
    const index_t terms = c.in_channels * c.kernel_height * c.kernel_width;
    expect_near(channels_first(y, s.batch, out_places, s.out_channels),
                reference::conv2d(c, x_first, wide(weight), wide(bias)), terms);
    passes.forward(s, x.data(), weight.data(), nullptr, y.data());
    expect_near(channels_first(y, s.batch, out_places, s.out_channels),
                reference::conv2d(c, x_first, wide(weight), std::vector<double>(bias.size())), terms);

    const auto expected = reference::conv2d_gradients(c, x_first, wide(weight), d_y_first);
    passes.backward_data(s, d_y.data(), weight.data(), d_x.data());
    expect_near(channels_first(d_x, s.batch, in_places, s.in_channels), expected.x,
                terms / c.in_channels * c.out_channels);
    passes.backward_weights(s, x.data(), d_y.data(), d_weight.data(), d_bias.data());
    expect_near(d_weight, expected.weight, s.batch * out_places);
    expect_near(d_bias, expected.bias, s.batch * out_places);
    std::vector<float> without_bias(weight.size());
    passes.backward_weights(s, x.data(), d_y.data(), without_bias.data(), nullptr);
    expect_near(without_bias, expected.weight, s.batch * out_places);
  }
}

TEST(Conv2d, equals_the_reference_in_all_three_passes) { expect_reference(ByLibrary()); }

TEST(Conv2d, by_columns_equals_the_reference_in_all_three_passes) {
  device::Context threads(2), team = device::Context::concurrent(32);
  expect_reference(ByColumns{threads});
  expect_reference(ByColumns{team});
}

TEST(Conv2d, by_columns_takes_images_in_pieces) {
  const Conv2dShape s{.batch = 9,
                      .in_channels = 64,
                      .height = 64,
                      .width = 64,
                      .out_channels = 2,
                      .kernel_height = 3,
                      .kernel_width = 3,
                      .padding_height = 1,
                      .padding_width = 1};
  ASSERT_EQ(images_of_piece(s), 7);
  const auto x = random_values(s.in_count(), 1), weight = random_values(s.weight_count(), 2);
  const auto d_y = random_values(s.out_count(), 3);
  std::vector<float> y(d_y.size()), d_x(x.size()), d_weight(weight.size()), d_bias(2);
  std::vector<float> y_all = y, d_x_all = d_x, d_weight_all = d_weight, d_bias_all = d_bias;
  device::Context context(2);
  const ByColumns by_columns{context};
  by_columns.forward(s, x.data(), weight.data(), nullptr, y.data());
  by_columns.backward_data(s, d_y.data(), weight.data(), d_x.data());
  by_columns.backward_weights(s, x.data(), d_y.data(), d_weight.data(), d_bias.data());
  EXPECT_EQ(context.workspace().used_bytes(), 0U);
  conv2d_forward(context, s, x.data(), weight.data(), nullptr, y_all.data());
  conv2d_backward_data(context, s, d_y.data(), weight.data(), d_x_all.data());
  conv2d_backward_weights(s, x.data(), d_y.data(), d_weight_all.data(), d_bias_all.data());
  // The library on all images: sums of 576, 18 and 36,864 terms near 1 in another order.
  expect_near(y, wide(y_all), 576);
  expect_near(d_x, wide(d_x_all), 18);
  for (std::size_t i = 0; i < d_weight.size(); ++i) ASSERT_NEAR(d_weight[i], d_weight_all[i], 0.01F);
  for (std::size_t i = 0; i < d_bias.size(); ++i) ASSERT_NEAR(d_bias[i], d_bias_all[i], 0.01F);
}

// Channel by channel a convolution of one channel, of tiles and sets as a layer has them.
TEST(Conv2d, of_a_kernel_for_each_channel_equals_the_reference_in_all_three_passes) {
  struct Problem {
    int images, channels, height, width, stride;
  };
  for (const Problem& p : {Problem{3, 5, 6, 7, 1}, Problem{2, 33, 5, 4, 2}, Problem{1, 16, 1, 1, 1},
                           Problem{2, 3, 2, 9, 2}, Problem{130, 2, 9, 9, 1}, Problem{0, 4, 4, 4, 1}}) {
    SCOPED_TRACE(::testing::Message() << p.images << " images of " << p.channels << " x " << p.height << " x "
                                      << p.width << ", stride " << p.stride);
    const Conv2dShape s{.batch = p.images,
                        .in_channels = p.channels,
                        .height = p.height,
                        .width = p.width,
                        .out_channels = p.channels,
                        .kernel_height = 3,
                        .kernel_width = 3,
                        .stride_height = p.stride,
                        .stride_width = p.stride,
                        .padding_height = 1,
                        .padding_width = 1,
                        .depthwise = true};
    const auto x = random_values(s.in_count(), 1), weight = random_values(s.weight_count(), 2);
    const auto bias = random_values(s.out_channels, 3), d_y = random_values(s.out_count(), 4);
    // A tile of all images but one, one without any, and one with the last.
    const std::int32_t most = std::max(p.images - 1, 0), last = p.images - most;
    const Tile tiles[] = {{0, most, most, 0}, {most, 0, 0, 0}, {most, last, last, 0}};
    const index_t width = s.weight_count() + s.out_channels;
    struct Results {
      std::vector<float> y, without_bias, d_x, gradients;
    };
    const auto all = on_every_executor("depthwise", [&](device::Context& context) {
      Results r{std::vector<float>(d_y.size()), std::vector<float>(d_y.size()), std::vector<float>(x.size()),
                std::vector<float>(as_size(3 * width), 99.0F)};
      conv2d_forward(context, s, x.data(), weight.data(), bias.data(), r.y.data());
      conv2d_forward(context, s, x.data(), weight.data(), nullptr, r.without_bias.data());
      conv2d_backward_data(context, s, d_y.data(), weight.data(), r.d_x.data());
      conv2d_backward_weights_of_tiles(context, s, TileView{tiles, 3, std::max<index_t>(most, last)}, x.data(),
                                       d_y.data(), {r.gradients.data(), 3, width});
      std::vector<float> values = r.y;
      for (const auto* more : {&r.without_bias, &r.d_x, &r.gradients})
        values.insert(values.end(), more->begin(), more->end());
      return values;
    });
    auto take = [at = all.begin()](std::size_t count) mutable {
      at += static_cast<std::ptrdiff_t>(count);
      return std::vector<float>(at - static_cast<std::ptrdiff_t>(count), at);
    };
    const Results got{take(d_y.size()), take(d_y.size()), take(x.size()), take(as_size(3 * width))};

    const reference::ConvCase one{1, 1, p.height, p.width, 1, 3, 3, p.stride, p.stride, 1, 1};
    const index_t in_places = s.height * s.width, out_places = s.out_height() * s.out_width();
    std::vector<double> d_weight(as_size(3 * s.weight_count())), d_bias(as_size(3 * s.out_channels));
    for (index_t n = 0; n < s.batch; ++n) {
      for (index_t c = 0; c < s.in_channels; ++c) {
        const auto channel = [&](const std::vector<float>& images, index_t places) {
          std::vector<double> values;
          for (index_t place = 0; place < places; ++place)
            values.push_back(images[as_size((n * places + place) * s.in_channels + c)]);
          return values;
        };
        const std::vector<double> kernel(weight.begin() + c * 9, weight.begin() + (c + 1) * 9);
        const auto plane = channel(x, in_places), gradient = channel(d_y, out_places);
        const auto expect_plane = [&](const std::vector<float>& images, const std::vector<double>& expected) {
          const auto values = channel(images, std::ssize(expected));
          for (std::size_t i = 0; i < expected.size(); ++i) ASSERT_NEAR(values[i], expected[i], 2e-6);
        };
        expect_plane(got.y, reference::conv2d(one, plane, kernel, {bias[as_size(c)]}));
        expect_plane(got.without_bias, reference::conv2d(one, plane, kernel, {0.0}));
        const auto of_plane = reference::conv2d_gradients(one, plane, kernel, gradient);
        expect_plane(got.d_x, of_plane.x);
        const index_t tile = n < most ? 0 : 2;
        for (index_t tap = 0; tap < 9; ++tap)
          d_weight[as_size(tile * s.weight_count() + c * 9 + tap)] += of_plane.weight[as_size(tap)];
        d_bias[as_size(tile * s.out_channels + c)] += of_plane.bias[0];
      }
    }
    for (index_t t = 0; t < 3; ++t) {
      const double tolerance = 1e-6 * static_cast<double>(out_places * (p.images + 1));
      for (index_t i = 0; i < s.weight_count(); ++i)
        ASSERT_NEAR(got.gradients[as_size(t * width + i)], d_weight[as_size(t * s.weight_count() + i)],
                    tolerance);
      for (index_t c = 0; c < s.out_channels; ++c)
        ASSERT_NEAR(got.gradients[as_size(t * width + s.weight_count() + c)],
                    d_bias[as_size(t * s.out_channels + c)], tolerance);
    }
  }
}

TEST(Conv2d, repeats_its_bits_and_follows_new_weights) {
  const Conv2dShape shape = shape_of(cases[2]);
  const auto x = random_values(shape.in_count(), 1), weight = random_values(shape.weight_count(), 2);
  const std::vector<float> zeros(weight.size());
  std::vector<float> first(static_cast<std::size_t>(shape.out_count())), second = first, third = first;
  conv2d_forward(shape, x.data(), weight.data(), nullptr, first.data());
  conv2d_forward(shape, x.data(), zeros.data(), nullptr, second.data());
  EXPECT_EQ(second, std::vector<float>(second.size(), 0.0F));
  conv2d_forward(shape, x.data(), weight.data(), nullptr, third.data());
  EXPECT_TRUE(same_bits(first, third));
}

TEST(Conv2d, of_no_images_has_zero_weight_gradients) {
  Conv2dShape shape = shape_of(cases[1]);
  shape.batch = 0;
  std::vector<float> weight(static_cast<std::size_t>(shape.weight_count()), 1.0F), bias(5, 1.0F);
  conv2d_forward(shape, nullptr, weight.data(), bias.data(), nullptr);
  conv2d_backward_data(shape, nullptr, weight.data(), nullptr);
  conv2d_backward_weights(shape, nullptr, nullptr, weight.data(), bias.data());
  EXPECT_EQ(weight, std::vector<float>(weight.size(), 0.0F));
  EXPECT_EQ(bias, std::vector<float>(5, 0.0F));

  device::Context context(1);
  weight.assign(weight.size(), 1.0F);
  bias.assign(5, 1.0F);
  conv2d_forward_by_columns(context, shape, nullptr, weight.data(), bias.data(), nullptr);
  conv2d_backward_data_by_columns(context, shape, nullptr, weight.data(), nullptr);
  ByColumns{context}.backward_weights(shape, nullptr, nullptr, weight.data(), bias.data());
  EXPECT_EQ(weight, std::vector<float>(weight.size(), 0.0F));
  EXPECT_EQ(bias, std::vector<float>(5, 0.0F));
}

TEST(Conv2d, refuses_a_kernel_larger_than_the_image) {
  Conv2dShape shape = shape_of(cases[0]);
  shape.kernel_height = 4;
  EXPECT_THROW(conv2d_forward(shape, nullptr, nullptr, nullptr, nullptr), ContractViolation);
}

// Each tile, and of a tile the piece that is asked for; a gradient of what has no row is zero.
TEST(Conv2d, weight_gradients_of_tiles_are_those_of_their_images) {
  device::Context context(1);
  const Tile tiles[] = {{0, 4, 4, 0}, {4, 0, 0, 0}, {4, 3, 1, 0}};
  const Conv2dShape shape = shape_of(cases[2]);
  Conv2dShape one = shape;
  one.batch = 1;
  const index_t weights = shape.weight_count(), channels = shape.out_channels;
  const auto x = random_values(7 * one.in_count(), 1), d_y = random_values(7 * one.out_count(), 2);
  for (const index_t biases : {index_t{0}, channels}) {
    for (const TileRows& rows : {TileRows({tiles, 3, 4}), TileRows({tiles, 3, 4}, 2, 2)}) {
      const index_t width = weights + biases;
      std::vector<float> gradients(as_size(3 * (width + 2)), 9.0F), expected = gradients;
      conv2d_backward_weights_of_tiles(context, shape, rows, x.data(), d_y.data(),
                                       {gradients.data(), 3, width, width + 2});
      for (index_t t = 0; t < 3; ++t) {
        Conv2dShape of_tile = shape;
        of_tile.batch = std::clamp<index_t>(tiles[t].rows - rows.first, 0, rows.rows);
        const index_t first = tiles[t].first_row + rows.first;
        float* const to = expected.data() + t * (width + 2);
        conv2d_backward_weights(of_tile, x.data() + first * one.in_count(),
                                d_y.data() + first * one.out_count(), to, biases > 0 ? to + weights : nullptr);
      }
      EXPECT_TRUE(same_bits(gradients, expected)) << biases << " biases, rows from " << rows.first;
    }
  }
}

// What a GPU does of them, with tiles of several parts.
TEST(Conv2d, weight_gradients_by_columns_are_those_of_each_tile) {
  const Tile tiles[] = {{0, 70, 70, 0}, {70, 0, 0, 0}, {70, 3, 1, 0}, {73, 30, 30, 0}};
  Conv2dShape one{.batch = 1,
                  .in_channels = 9,
                  .height = 8,
                  .width = 9,
                  .out_channels = 66,
                  .kernel_height = 3,
                  .kernel_width = 3,
                  .padding_height = 1,
                  .padding_width = 1};
  const index_t weights = one.weight_count(), width = weights + one.out_channels;
  const auto x = random_values(103 * one.in_count(), 1), d_y = random_values(103 * one.out_count(), 2);
  for (const TileRows& rows : {TileRows({tiles, 4, 70}), TileRows({tiles, 4, 70}, 2, 40)}) {
    const auto got = on_every_executor("weight gradients by columns", [&](device::Context& context) {
      std::vector<float> gradients(as_size(4 * (width + 2)), 9.0F);
      conv2d_weight_gradients_by_columns(context, one, rows, x.data(), d_y.data(),
                                         {gradients.data(), 4, width, width + 2});
      EXPECT_EQ(context.workspace().used_bytes(), 0U);
      return gradients;
    });
    for (index_t t = 0; t < 4; ++t) {
      Conv2dShape of_tile = one;
      of_tile.batch = std::clamp<index_t>(tiles[t].rows - rows.first, 0, rows.rows);
      const index_t first = tiles[t].first_row + rows.first;
      std::vector<float> expected(as_size(width));
      conv2d_backward_weights(of_tile, x.data() + first * one.in_count(), d_y.data() + first * one.out_count(),
                              expected.data(), expected.data() + weights);
      for (index_t i = 0; i < width; ++i)
        ASSERT_NEAR(got[as_size(t * (width + 2) + i)], expected[as_size(i)], 2e-3F)
            << "tile " << t << ", " << i;
      ASSERT_EQ(got[as_size(t * (width + 2) + width)], 9.0F);
    }
  }
}

}  // namespace
}  // namespace switchyard::ops
