// What follows a convolution of many channels, against the float64 reference, on every executor.
#include "ops/norm_pool.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "base/error.hpp"
#include "base/ids.hpp"
#include "conformance/ops/executors.hpp"
#include "support/reference_norm_pool.hpp"

namespace switchyard::ops {
namespace {

namespace naive = switchyard::reference;
using Doubles = std::vector<double>;

constexpr double epsilon = 1e-5;

Doubles wide(const std::vector<float>& values) { return {values.begin(), values.end()}; }
// One or more packs of channels with and without a rest, odd sizes, one pixel, no row.
struct Problem {
  index_t rows, height, width, channels;
};
const Problem problems[] = {{5, 4, 4, 16}, {3, 5, 7, 3},  {2, 2, 2, 33}, {4, 1, 1, 17},
                            {9, 3, 3, 1},  {1, 6, 8, 32}, {0, 4, 4, 2}};

constexpr ImageActivation activations[] = {ImageActivation::none, ImageActivation::relu,
                                           ImageActivation::relu6};

template <class F>
void for_each_shape(const F& f) {
  for (const Problem& p : problems) {
    for (const ImageActivation activation : activations) {
      for (const bool max_pool : {false, true}) {
        if (max_pool && (p.height < 2 || p.width < 2)) continue;
        for (const ImageOrder order : {ImageOrder::channels_first, ImageOrder::channels_last}) {
          const NormPoolShape shape{p.height, p.width, p.channels, activation, max_pool, order};
          SCOPED_TRACE(::testing::Message()
                       << p.rows << " rows of " << p.height << " x " << p.width << " x " << p.channels
                       << ", activation " << static_cast<int>(activation) << (max_pool ? ", pooled" : "")
                       << (order == ImageOrder::channels_last ? ", channels last" : ""));
          f(shape, p.rows);
        }
      }
    }
  }
}

// Inputs of one shape, and the calls.
struct Case {
  Case(const NormPoolShape& shape_in, index_t rows_in, float mean = 0.0F)
      : shape(shape_in),
        rows(rows_in),
        tile{0, static_cast<std::int32_t>(rows), static_cast<std::int32_t>(rows), 0},
        z(random_values(rows * shape.in_features(), 1)),
        gamma(random_values(shape.channels, 2)),
        beta(random_values(shape.channels, 3)),
        d_out(random_values(rows * shape.out_features(), 4)) {
    for (float& value : z) value += mean;
    if (shape.channels > 1) gamma[1] = 0;  // of which xhat cannot be read back
    sizes = {static_cast<int>(rows),
             static_cast<int>(shape.height),
             static_cast<int>(shape.width),
             static_cast<int>(shape.channels),
             shape.activation != ImageActivation::none,
             shape.max_pool};
    if (shape.activation == ImageActivation::relu6) {
      sizes.most = 6;
      for (float& value : gamma) value *= 8;  // so that some are larger
    }
    const naive::ChannelStatistics batch = naive::channel_statistics(sizes, wide(z));
    for (index_t c = 0; c < shape.channels; ++c) {
      mean_of.push_back(batch.mean[as_size(c)]);
      inv_std.push_back(1.0 / std::sqrt(batch.variance[as_size(c)] + epsilon));
      scale.push_back(static_cast<float>(gamma[as_size(c)] * inv_std.back()));
      shift.push_back(
          static_cast<float>(beta[as_size(c)] - gamma[as_size(c)] * inv_std.back() * mean_of.back()));
    }
  }

  TileView tiles() const { return {&tile, 1, rows}; }
  tensor::ConstMatrix z_view() const { return {z.data(), rows, shape.in_features()}; }
  tensor::ConstMatrix rows_of(const std::vector<float>& values) const {
    return {values.data(), rows, shape.out_features()};
  }
  NormView norm() const { return {mean_of.data(), inv_std.data(), gamma.data(), {}, {}}; }
  // Channels last.
  std::vector<float> in_reference_order(const std::vector<float>& results) const {
    if (shape.out_order == ImageOrder::channels_last) return results;
    return channels_first(results, rows, shape.channels, shape.out_height() * shape.out_width());
  }

  struct Forward {
    std::vector<float> out;
    std::vector<std::uint8_t> argmax_place;
  };
  Forward forward(device::Context& context) const {
    Forward result{std::vector<float>(d_out.size(), -1.0F), {}};
    if (shape.max_pool) result.argmax_place.assign(d_out.size(), 99);
    norm_pool_forward(context, shape, tiles(), z_view(), {scale.data(), shift.data()},
                      {{result.out.data(), rows, shape.out_features()},
                       shape.max_pool ? result.argmax_place.data() : nullptr},
                      skip.empty() ? tensor::ConstMatrix() : rows_of(skip));
    return result;
  }
  PooledGradient gradient(const Forward& from) const {
    return {rows_of(from.out), shape.max_pool ? from.argmax_place.data() : nullptr, rows_of(d_out)};
  }
  NormPoolRows rows_with(std::vector<float>& values, const Forward& from) const {
    return {{values.data(), rows, shape.in_features()}, gradient(from)};
  }
  Doubles backward_sums(device::Context& context, const Forward& from) const {
    Doubles of_rows(as_size(rows * 2 * shape.channels)), sums(as_size(2 * shape.channels));
    std::vector<float> same = z;
    norm_pool_backward_sums(context, shape, tiles(), norm(), rows_with(same, from), of_rows);
    add_backward_sums(context, tiles(), norm(), of_rows, sums);
    return sums;
  }
  // mean_dy, then mean_dy_xhat; empty: no norm.
  std::vector<float> backward(device::Context& context, const Forward& from, const Doubles& means,
                              index_t samples) const {
    std::vector<float> d_z = z;
    NormView view = means.empty() ? NormView{} : norm();
    view.mean_dy = means.data();
    view.mean_dy_xhat = means.data() + means.size() / 2;
    const Tile padded{0, static_cast<std::int32_t>(rows), static_cast<std::int32_t>(samples), 0};
    norm_pool_backward(context, shape, TileView{&padded, 1, rows}, view, rows_with(d_z, from));
    return d_z;
  }
  naive::NormPool reference() const {
    return naive::norm_pool(sizes, wide(z), wide(scale), wide(shift), wide(skip));
  }
  // The gradient at the norm's output.
  Doubles reference_dy() const {
    return naive::norm_pool_backward(sizes, reference(), wide(in_reference_order(d_out)));
  }

  NormPoolShape shape;
  index_t rows;
  Tile tile;
  std::vector<float> z, gamma, beta, d_out;
  std::vector<float> skip = {};  // empty: none
  naive::NormPoolSizes sizes;
  Doubles mean_of, inv_std;
  std::vector<float> scale, shift;
};

template <class Actual>
void expect_close(const Actual& actual, const Doubles& expected, double tolerance) {
  ASSERT_EQ(actual.size(), expected.size());
  double size = 1;
  for (const double value : expected) size = std::max(size, std::abs(value));
  for (std::size_t i = 0; i < expected.size(); ++i)
    ASSERT_NEAR(static_cast<double>(actual[i]), expected[i], tolerance * size) << "at " << i;
}

TEST(NormPool, forward_is_that_of_the_reference) {
  for_each_shape([](const NormPoolShape& shape, index_t rows) {
    const Case c(shape, rows);
    const auto out = on_every_executor("forward", [&](device::Context& context) {
      const Case::Forward result = c.forward(context);
      std::vector<float> all = result.out;
      all.insert(all.end(), result.argmax_place.begin(), result.argmax_place.end());
      return all;
    });
    const auto expected = c.reference();
    const auto split = out.begin() + static_cast<std::ptrdiff_t>(c.d_out.size());
    expect_close(c.in_reference_order({out.begin(), split}), expected.out, 1e-6);
  });
}

TEST(NormPool, adds_a_skip_and_gives_it_its_gradient) {
  for_each_shape([](const NormPoolShape& shape, index_t rows) {
    if (shape.max_pool) return;
    Case c(shape, rows);
    c.skip = random_values(std::ssize(c.z), 5);
    const auto out =
        on_every_executor("forward", [&](device::Context& context) { return c.forward(context).out; });
    expect_close(c.in_reference_order(out), c.reference().out, 1e-6);
    const std::vector<float> before = random_values(std::ssize(c.z), 6);
    const auto d_skip = [&](SkipGradient how) {
      return on_every_executor("gradient", [&](device::Context& context) {
        std::vector<float> values = before;
        const Case::Forward forward = c.forward(context);
        skip_gradient(context, shape, c.tiles(), c.gradient(forward),
                      {values.data(), rows, shape.in_features()}, how);
        return values;
      });
    };
    Doubles expected = c.reference_dy();
    EXPECT_EQ(wide(d_skip(SkipGradient::written)), expected);
    for (std::size_t i = 0; i < expected.size(); ++i) expected[i] = before[i] + static_cast<float>(expected[i]);
    EXPECT_EQ(wide(d_skip(SkipGradient::added)), expected);
  });
}

TEST(NormPool, gives_ties_to_the_first_and_lets_a_nan_through) {
  device::Context context(1);
  const NormPoolShape shape{2, 2, 17, ImageActivation::relu, true, ImageOrder::channels_last};
  std::vector<float> z(as_size(shape.in_features()), 3.0F), out(17);
  std::vector<std::uint8_t> argmax_place(17, 99);
  z[16] = std::numeric_limits<float>::quiet_NaN();
  const Tile tile{0, 1, 1, 0};
  norm_pool_forward(context, shape, TileView{&tile, 1, 1}, {z.data(), 1, 68}, {},
                    {{out.data(), 1, 17}, argmax_place.data()});
  EXPECT_EQ(argmax_place, std::vector<std::uint8_t>(17, 0));
  EXPECT_EQ(out[15], 3.0F);
  EXPECT_TRUE(std::isnan(out[16]));
}

// Channels far from zero keep their variance.
TEST(NormPool, moments_are_those_of_two_passes) {
  for (const float mean : {0.0F, 300.0F}) {
    for_each_shape([&](const NormPoolShape& shape, index_t rows) {
      if (shape.activation != ImageActivation::none || shape.max_pool) return;
      const Case c(shape, rows, mean);
      const auto values = on_every_executor("moments", [&](device::Context& context) {
        std::vector<Moments> of_rows(as_size(rows * shape.channels)), all(as_size(shape.channels));
        channel_moments(context, shape, c.tiles(), c.z_view(), of_rows);
        merge_moments(context, c.tiles(), of_rows, all);
        Doubles flat;
        for (const Moments& m : all) flat.insert(flat.end(), {m.count, m.mean, m.m2});
        return flat;
      });
      const double count = static_cast<double>(rows * shape.places());
      const naive::ChannelStatistics expected = naive::channel_statistics(c.sizes, wide(c.z));
      for (std::size_t i = 0; i < expected.mean.size(); ++i) {
        ASSERT_EQ(values[3 * i], count);
        ASSERT_NEAR(values[3 * i + 1], expected.mean[i], 1e-6 * (1 + static_cast<double>(mean) / 100));
        ASSERT_NEAR(values[3 * i + 2], count * expected.variance[i], 2e-6 * (1 + count));
      }
    });
  }
}

TEST(NormPool, backward_without_a_norm_is_that_of_the_reference) {
  for_each_shape([](const NormPoolShape& shape, index_t rows) {
    const Case c(shape, rows);
    const auto d_z = on_every_executor("backward", [&](device::Context& context) {
      return c.backward(context, c.forward(context), {}, rows);
    });
    EXPECT_EQ(wide(d_z), c.reference_dy());  // nothing is computed, only placed
  });
}

TEST(NormPool, backward_with_a_norm_is_that_of_the_reference) {
  for_each_shape([](const NormPoolShape& shape, index_t rows) {
    if (rows == 0) return;
    const Case c(shape, rows);
    const auto expected =
        naive::batch_norm_backward(c.sizes, wide(c.z), c.reference_dy(), wide(c.gamma), epsilon);
    const Doubles sums = on_every_executor(
        "sums", [&](device::Context& context) { return c.backward_sums(context, c.forward(context)); });
    const auto half = sums.begin() + static_cast<std::ptrdiff_t>(shape.channels);
    expect_close(Doubles(sums.begin(), half), expected.beta, 1e-6);
    expect_close(Doubles(half, sums.end()), expected.gamma, 2e-6);
    Doubles means = sums;
    for (double& value : means) value /= static_cast<double>(rows * shape.places());
    const auto d_z = on_every_executor("backward", [&](device::Context& context) {
      return c.backward(context, c.forward(context), means, rows);
    });
    expect_close(d_z, expected.z, 2e-6);
  });
}

TEST(NormPool, gives_padding_no_gradient) {
  device::Context context(1);
  const Case c({4, 4, 5, ImageActivation::relu, true, ImageOrder::channels_last}, 6);
  const Doubles means(10, 0.5);
  const auto all = c.backward(context, c.forward(context), means, 6);
  auto expected = all;
  std::fill(expected.begin() + 2 * 80, expected.end(), 0.0F);
  EXPECT_NE(all, expected);
  EXPECT_EQ(c.backward(context, c.forward(context), means, 2), expected);
  std::fill(expected.begin(), expected.end(), 0.0F);
  EXPECT_EQ(c.backward(context, c.forward(context), means, 0), expected);
}

TEST(ReorderImages, goes_there_and_back) {
  const std::vector<float> images = random_values(3 * 5 * 7, 1);
  const auto last = on_every_executor("channels last", [&](device::Context& context) {
    std::vector<float> result(images.size());
    reorder_images(context, tensor::ConstMatrix(images.data(), 3, 35), {5, 7}, ImageOrder::channels_last,
                   {result.data(), 3, 35});
    return result;
  });
  EXPECT_EQ(channels_first(last, 3, 7, 5), images);
  const auto back = on_every_executor("channels first", [&](device::Context& context) {
    std::vector<float> result(images.size());
    reorder_images(context, tensor::ConstMatrix(last.data(), 3, 35), {5, 7}, ImageOrder::channels_first,
                   {result.data(), 3, 35});
    return result;
  });
  EXPECT_EQ(back, images);
}

TEST(AveragePlaces, are_those_of_the_reference_in_both_orders) {
  constexpr index_t rows = 3, channels = 19, places = 7;
  const ImageSizes sizes{channels, places};
  const std::vector<float> x = random_values(rows * channels * places, 1);
  const std::vector<float> d_y = random_values(rows * channels, 2);
  for (const ImageOrder order : {ImageOrder::channels_first, ImageOrder::channels_last}) {
    const auto place = [&](index_t row, index_t c, index_t p) {
      return as_size(row * channels * places +
                     (order == ImageOrder::channels_last ? p * channels + c : c * places + p));
    };
    const auto y = on_every_executor("means", [&](device::Context& context) {
      std::vector<float> result(d_y.size());
      average_places(context, {x.data(), rows, channels * places}, sizes, order,
                     {result.data(), rows, channels});
      return result;
    });
    const auto d_x = on_every_executor("their gradient", [&](device::Context& context) {
      std::vector<float> result(x.size());
      average_places_backward(context, {d_y.data(), rows, channels}, sizes, order,
                              {result.data(), rows, channels * places});
      return result;
    });
    for (index_t row = 0; row < rows; ++row) {
      for (index_t c = 0; c < channels; ++c) {
        const std::size_t mean = as_size(row * channels + c);
        double sum = 0;
        for (index_t p = 0; p < places; ++p) sum += x[place(row, c, p)];
        EXPECT_NEAR(y[mean], sum / places, 1e-6);
        for (index_t p = 0; p < places; ++p) EXPECT_NEAR(d_x[place(row, c, p)], d_y[mean] / places, 1e-7);
      }
    }
  }
}

TEST(NormPool, refuses_sizes_that_do_not_fit) {
  device::Context context(1);
  Case c({4, 4, 5, ImageActivation::relu, true, ImageOrder::channels_last}, 2);
  const Case::Forward forward = c.forward(context);
  std::vector<float> out(forward.out.size());
  const tensor::Matrix result{out.data(), 2, c.shape.out_features()};
  EXPECT_THROW(norm_pool_forward(context, c.shape, c.tiles(), c.z_view(), {}, {result, nullptr}),
               ContractViolation);
  std::vector<std::uint8_t> argmax_place(out.size());
  EXPECT_THROW(norm_pool_forward(context, c.shape, c.tiles(), c.z_view(), {c.scale.data(), nullptr},
                                 {result, argmax_place.data()}),
               ContractViolation);
  EXPECT_THROW(
      norm_pool_forward(context, c.shape, c.tiles(), c.z_view(), {}, {result, argmax_place.data()}, c.z_view()),
      ContractViolation);  // a skip to what is pooled
  NormPoolShape larger = c.shape;
  larger.channels = 6;
  EXPECT_THROW(norm_pool_forward(context, larger, c.tiles(), c.z_view(), {}, {result, argmax_place.data()}),
               ContractViolation);
  EXPECT_THROW(channel_moments(context, c.shape, c.tiles(), c.z_view(), {}), ContractViolation);
  EXPECT_THROW(norm_pool_backward_sums(context, c.shape, c.tiles(), c.norm(), c.rows_with(c.z, forward), {}),
               ContractViolation);
  EXPECT_THROW(reorder_images(context, c.z_view(), {5, 15}, ImageOrder::channels_first, result),
               ContractViolation);
}

}  // namespace
}  // namespace switchyard::ops
