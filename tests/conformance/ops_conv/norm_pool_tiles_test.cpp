// What follows a convolution gives each tile of a call, and each piece of one, the bits that it has alone.
#include <gtest/gtest.h>

#include "conformance/ops/executors.hpp"
#include "ops/norm_pool.hpp"

namespace switchyard::ops {
namespace {

// Of two sets: no row, padding, and nothing but padding among them.
const Tile tiles[] = {{0, 9, 9, 1}, {9, 0, 0, 0}, {9, 6, 4, 0}, {15, 2, 0, 0}, {17, 3, 3, 1}};
constexpr index_t tile_count = 5, rows = 20, most_rows = 9;

// Tiles from number `first` on, whose set 0 is set `set`; taken in pieces.
struct Call {
  TileView tiles;
  std::vector<TileRows> pieces;
  index_t first = 0;
  index_t set = 0;
};

struct Values {
  explicit Values(const NormPoolShape& shape)
      : z(random_values(rows * shape.in_features(), 1)),
        scale(random_values(2 * shape.channels, 2)),
        shift(random_values(2 * shape.channels, 3)),
        d_out(random_values(rows * shape.out_features(), 4)) {
    const std::vector<float> norm = random_values(8 * shape.channels, 5);
    of_norm.assign(norm.begin(), norm.end());
  }
  std::vector<float> z, scale, shift, d_out;
  std::vector<double> of_norm;  // mean, inv_std, mean_dy, mean_dy_xhat
};

std::vector<double> run(device::Context& context, const NormPoolShape& shape, const std::vector<Call>& calls) {
  const Values v(shape);
  const index_t channels = shape.channels, cols = shape.out_features();
  std::vector<float> z = v.z, out(as_size(rows * cols));
  std::vector<std::uint8_t> argmax_place(out.size());
  std::uint8_t* const places = shape.max_pool ? argmax_place.data() : nullptr;
  std::vector<Moments> of_rows(as_size(rows * channels)), moments(as_size(tile_count * channels));
  std::vector<double> row_sums(as_size(rows * 2 * channels)), sums(as_size(tile_count * 2 * channels));
  const tensor::Matrix all_z(z.data(), rows, shape.in_features());
  const NormPoolRows all{all_z, {{out.data(), rows, cols}, places, {v.d_out.data(), rows, cols}}};
  for (const Call& call : calls) {
    const index_t first = call.first;
    const auto of_norm = [&](index_t part) {
      return OfSets<const double>(v.of_norm.data() + (part * 2 + call.set) * channels, channels);
    };
    const auto of = [&](const std::vector<float>& values) {
      return OfSets<const float>(values.data() + call.set * channels, channels);
    };
    const NormView norm{of_norm(0), of_norm(1), of(v.scale), of_norm(2), of_norm(3)};
    const Affine affine{of(v.scale), of(v.shift)};
    for (const TileRows& piece : call.pieces) {
      channel_moments(context, shape, piece, all_z, of_rows);
      norm_pool_forward(context, shape, piece, all_z, affine, {{out.data(), rows, cols}, places});
    }
    merge_moments(context, call.tiles, of_rows,
                  {moments.data() + first * channels, call.tiles.count * channels});
    for (const TileRows& piece : call.pieces)
      norm_pool_backward_sums(context, shape, piece, norm, all, row_sums);
    add_backward_sums(context, call.tiles, norm, row_sums,
                      {sums.data() + first * 2 * channels, call.tiles.count * 2 * channels});
    for (const TileRows& piece : call.pieces) norm_pool_backward(context, shape, piece, norm, all);
  }
  std::vector<double> result(out.begin(), out.end());
  result.insert(result.end(), argmax_place.begin(), argmax_place.end());
  result.insert(result.end(), z.begin(), z.end());
  for (const Moments& m : moments) result.insert(result.end(), {m.count, m.mean, m.m2});
  result.insert(result.end(), sums.begin(), sums.end());
  return result;
}

TEST(NormPoolTiles, have_the_bits_that_they_and_their_pieces_have_alone) {
  for (const NormPoolShape& shape :
       {NormPoolShape{4, 5, 3, ImageActivation::relu, true, ImageOrder::channels_first},
        {5, 4, 19, ImageActivation::none, true, ImageOrder::channels_last},
        {3, 3, 40, ImageActivation::relu6, false, ImageOrder::channels_last}}) {
    const TileView together{tiles, tile_count, most_rows};
    const auto at_once = on_every_executor("all tiles at once", [&](device::Context& context) {
      return run(context, shape, {{together, {together}}});
    });
    device::Context context(1);
    std::vector<Tile> of_one_set(std::begin(tiles), std::end(tiles));
    std::vector<Call> each, in_pieces;
    for (index_t t = 0; t < tile_count; ++t) {
      Tile& tile = of_one_set[as_size(t)];
      tile.set = 0;
      const TileView alone{&tile, 1, tile.rows};
      each.push_back({alone, {alone}, t, tiles[t].set});
      in_pieces.push_back({alone, {}, t, tiles[t].set});
      for (index_t first = 0; first < tile.rows; first += 4)
        in_pieces.back().pieces.push_back({alone, first, std::min<index_t>(4, tile.rows - first)});
    }
    EXPECT_TRUE(same_bits(at_once, run(context, shape, each)));
    EXPECT_TRUE(same_bits(at_once, run(context, shape, in_pieces)));
  }
}

}  // namespace
}  // namespace switchyard::ops
