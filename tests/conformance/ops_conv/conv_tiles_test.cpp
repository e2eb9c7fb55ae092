// The fused convolution gives each tile of a call the bits that it has alone.
#include <gtest/gtest.h>

#include "conformance/ops/executors.hpp"
#include "ops/fused_conv.hpp"

namespace switchyard::ops {
namespace {

// Of two sets: more than one chunk, no row, padding, nothing but padding, and a tile whose rows are all
// samples.
const Tile tiles[] = {{0, 17, 17, 1}, {17, 0, 0, 0}, {17, 12, 9, 0}, {29, 3, 0, 0}, {32, 8, 8, 1}};
constexpr index_t tile_count = 5, rows = 40, most_rows = 17;

std::vector<double> random_doubles(index_t count, unsigned seed) {
  const std::vector<float> values = random_values(count, seed);
  return {values.begin(), values.end()};
}

// What a batch of one shape is made of, the second set behind the first; and all that the calls write.
struct Batch {
  explicit Batch(const FusedConvShape& shape_in, bool has_bias)
      : shape(shape_in),
        images(random_values(rows * shape.in_features(), 1)),
        weight(random_values(2 * shape.weight_count(), 2)),
        bias(random_values(has_bias ? 2 * channels() : 0, 3)),
        gamma(random_values(2 * channels(), 4)),
        beta(random_values(2 * channels(), 5)),
        d_out(random_values(rows * shape.out_features(), 6)),
        mean(random_doubles(2 * channels(), 7)),
        inv_std(random_doubles(2 * channels(), 8)),
        mean_dy(random_doubles(2 * channels(), 9)),
        mean_dy_xhat(random_doubles(2 * channels(), 10)) {}

  index_t channels() const { return shape.out_channels; }
  // As a call has them whose set 0 is set `first`.
  template <class T>
  OfSets<const T> of(const std::vector<T>& values, index_t first) const {
    return {values.data() + first * channels(), channels()};
  }
  OfSets<const float> weights(index_t first) const {
    return {weight.data() + first * shape.weight_count(), shape.weight_count()};
  }
  OfSets<const float> biases(index_t first) const {
    return bias.empty() ? OfSets<const float>() : of(bias, first);
  }
  ConvWeights conv_weights(index_t first) const {
    return {weights(first), biases(first), {of(gamma, first), of(beta, first)}};
  }
  ConvBatchNormView norm(index_t first) const {
    return {
        weights(first),
        biases(first),
        {of(mean, first), of(inv_std, first), of(gamma, first), of(mean_dy, first), of(mean_dy_xhat, first)}};
  }

  FusedConvShape shape;
  std::vector<float> images, weight, bias, gamma, beta, d_out;
  std::vector<double> mean, inv_std, mean_dy, mean_dy_xhat;
};

// Tiles from number `first` on, whose set 0 is set `set`, taken by one call of each op.
struct Call {
  TileView view;
  index_t first = 0;
  index_t set = 0;
};
std::vector<double> run(device::Context& context, const Batch& b, const std::vector<Call>& calls) {
  const FusedConvShape& shape = b.shape;
  const index_t out_cols = shape.out_features(), patch = conv_patch_sums_count(shape),
                weights = shape.weight_count(), channels = shape.out_channels;
  std::vector<float> out(as_size(rows * out_cols)), gradients(as_size(tile_count * (weights + channels))),
      d_weight(as_size(tile_count * weights));
  std::vector<std::uint8_t> argmax_place(out.size());
  std::vector<double> patch_sums(as_size(tile_count * patch)), sum_dy(as_size(tile_count * 2 * channels)),
      sum_dy_x(as_size(tile_count * weights));
  std::vector<Moments> moments(as_size(tile_count * channels));
  const tensor::RowSource images = tensor::ConstMatrix(b.images.data(), rows, shape.in_features());
  for (const auto& [view, first, set] : calls) {
    const auto of = [first = first, count = view.count]<class T>(std::vector<T>& values, index_t width) {
      return Span<T>(values.data() + first * width, count * width);
    };
    std::vector<float> workspace(as_size(view.count * fused_conv_workspace_floats(shape, view.most_rows)),
                                 9.0F);
    fused_conv_forward(context, shape, view, images, b.conv_weights(set),
                       {{out.data(), rows, out_cols}, argmax_place.data()});
    conv_patch_sums(context, shape, view, images, workspace, of(patch_sums, patch));
    conv_moments(context, shape, view, of(patch_sums, patch), b.conv_weights(set), of(moments, channels));
    const ConvTiles conv_tiles{
        view,
        images,
        {{out.data(), rows, out_cols}, argmax_place.data(), {b.d_out.data(), rows, out_cols}},
        workspace};
    fused_conv_backward(context, shape, conv_tiles,
                        {of(gradients, weights + channels).data(), view.count, weights + channels});
    const ConvTileSums sums{of(patch_sums, patch), of(sum_dy, 2 * channels), of(sum_dy_x, weights)};
    fused_conv_bn_backward_sums(context, shape, conv_tiles, b.norm(set), sums);
    fused_conv_bn_backward(context, shape, view, b.norm(set), sums,
                           {of(d_weight, weights).data(), view.count, weights});
  }
  std::vector<double> all(out.begin(), out.end());
  const auto add = [&](const auto& values) { all.insert(all.end(), values.begin(), values.end()); };
  add(argmax_place);
  add(gradients);
  add(patch_sums);
  for (const Moments& m : moments) all.insert(all.end(), {m.count, m.mean, m.m2});
  add(sum_dy);
  add(sum_dy_x);
  add(d_weight);
  return all;
}

// Enough channels of many inputs for several groups of them on a GPU.
TEST(FusedConvTiles, have_the_bits_that_they_have_alone) {
  for (const FusedConvShape& shape :
       {FusedConvShape{1, 9, 10, 3}, {2, 6, 7, 2, 1}, {3, 5, 35, 1}, {4, 5, 6, 45}}) {
    for (const bool has_bias : {true, false}) {
      const Batch batch(shape, has_bias);
      const auto at_once = on_every_executor("all tiles at once", [&](device::Context& context) {
        return run(context, batch, {{{tiles, tile_count, most_rows}}});
      });
      device::Context context(1);
      std::vector<Tile> of_one_set(std::begin(tiles), std::end(tiles));
      std::vector<Call> each;
      for (index_t t = 0; t < tile_count; ++t) {
        Tile& tile = of_one_set[as_size(t)];
        tile.set = 0;
        each.push_back({{&tile, 1, tile.rows}, t, tiles[t].set});
      }
      EXPECT_TRUE(same_bits(at_once, run(context, batch, each)));
    }
  }
}

// 249.6 KiB would be needed for all of its channels at once, and a block has 227.
TEST(FusedConvTiles, fit_a_gpu_whatever_the_channels) {
  EXPECT_LE(fused_conv_scratch_bytes({3, 32, 32, 128, 1}), 160 << 10);
  EXPECT_GT(fused_conv_scratch_bytes({4, 512, 512, 1}), 227 << 10);
}

}  // namespace
}  // namespace switchyard::ops
