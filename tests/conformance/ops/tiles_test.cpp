// Operations on runs of tiles: each tile has the bits that it has alone.
#include <cstdint>

#include "conformance/ops/executors.hpp"
#include "ops/convert.hpp"
#include "ops/reduce.hpp"
#include "ops/rows.hpp"
#include "ops/segments.hpp"
#include "ops/tile_gradient.hpp"
#include "ops/unit_rows.hpp"
#include "support/tile_table.hpp"

namespace switchyard::ops {
namespace {

const test::TileTable& tiles() {
  static const test::TileTable table({64, 1, 0, 33, 128});
  return table;
}
constexpr index_t tile_count = 5;

TEST(Tiles, column_sums_are_those_of_each_tile) {
  for (const index_t cols : {1, 33, 1030}) {
    const index_t stride = cols + 2;
    const std::vector<float> x = random_values(tiles().rows() * cols, 1);
    const auto got = on_every_executor("tile_column_sums", [&](device::Context& context) {
      std::vector<float> sums(as_size(tile_count * stride), -1.0F);
      tile_column_sums(context, tiles().view(), {x.data(), tiles().rows(), cols}, sums.data(), stride);
      return sums;
    });
    device::Context context(1);
    for (index_t tile = 0; tile < tile_count; ++tile) {
      const Tile& of = tiles().tiles()[as_size(tile)];
      std::vector<float> alone(as_size(cols));
      column_sums(context, {x.data() + of.first_row * cols, of.rows, cols}, alone);
      ASSERT_TRUE(std::equal(alone.begin(), alone.end(), got.begin() + tile * stride)) << cols << ' ' << tile;
      ASSERT_EQ(got[as_size(tile * stride + cols)], -1.0F);
    }
  }
}

// In float64, to rounding.
TEST(Tiles, gradients_are_products_over_the_rows_of_each_tile) {
  for (const auto& [in, out] : {std::array<index_t, 2>{1, 1}, {5, 3}, {64, 10}, {67, 130}}) {
    const std::vector<float> x = random_values(tiles().rows() * in, 2);
    const std::vector<float> y = random_values(tiles().rows() * out, 3);
    const index_t stride = in * out + 1;
    const auto got = on_every_executor("tile_gradients", [&](device::Context& context) {
      std::vector<float> gradients(as_size(tile_count * stride), -1.0F);
      tile_gradients<float>(context, tiles().view(), {x.data(), in, in, y.data(), out, out}, gradients.data(),
                            stride);
      return gradients;
    });
    for (index_t tile = 0; tile < tile_count; ++tile) {
      const Tile& of = tiles().tiles()[as_size(tile)];
      for (index_t e = 0; e < in * out; ++e) {
        double sum = 0;
        for (index_t r = of.first_row; r < of.first_row + of.rows; ++r)
          sum += static_cast<double>(x[as_size(r * in + e / out)]) * y[as_size(r * out + e % out)];
        ASSERT_NEAR(got[as_size(tile * stride + e)], sum, 1e-4) << in << ' ' << out << ' ' << tile;
      }
      ASSERT_EQ(got[as_size(tile * stride + in * out)], -1.0F);
    }
  }
}

TEST(Tiles, gradients_of_bfloat16_are_those_of_its_values) {
  const index_t in = 6, out = 5;
  std::vector<bfloat16> x, y;
  std::vector<float> wide_x, wide_y;
  for (const float value : random_values(tiles().rows() * in, 4)) x.push_back(to_bfloat16(value));
  for (const float value : random_values(tiles().rows() * out, 5)) y.push_back(to_bfloat16(value));
  for (const bfloat16 value : x) wide_x.push_back(to_float(value));
  for (const bfloat16 value : y) wide_y.push_back(to_float(value));
  device::Context context(1);
  std::vector<float> got(as_size(tile_count * in * out)), expected = got;
  tile_gradients<bfloat16>(context, tiles().view(), {x.data(), in, in, y.data(), out, out}, got.data(),
                           in * out);
  tile_gradients<float>(context, tiles().view(), {wide_x.data(), in, in, wide_y.data(), out, out},
                        expected.data(), in * out);
  EXPECT_TRUE(same_bits(got, expected));
}

// Four sets: of two tiles the second of which is padded, none, one of padding alone, and one row.
struct OfSets4 {
  std::vector<Tile> tiles = {{0, 64, 64, 0}, {64, 64, 6, 0}, {128, 64, 0, 2}, {192, 64, 1, 3}};
  std::vector<SetTiles> sets = {{0, 2, 70}, {2, 2, 0}, {2, 3, 0}, {3, 4, 1}};
  static constexpr index_t count = 4, rows = 256;

  template <class Number>
  std::vector<float> gradients(device::Context& context, const TileFactors<Number>& factors, bool added,
                               index_t too_many) const {
    const index_t stride = factors.in * factors.out + 3;
    std::vector<float> result = random_values(count * stride, 8);
    tile_set_gradients<Number>(
        context, {factors, tiles.data(), sets.data(), count, result.data(), stride, added}, too_many);
    return result;
  }
};

TEST(Tiles, gradients_of_sets_leave_out_padding_and_what_has_too_many_rows) {
  const OfSets4 of;
  for (const auto& [in, out] : {std::array<index_t, 2>{1, 1}, {5, 3}, {130, 67}}) {
    const std::vector<float> x = random_values(of.rows * in, 2), y = random_values(of.rows * out, 3);
    const index_t stride = in * out + 3;
    const std::vector<float> before = random_values(of.count * stride, 8);
    for (const bool added : {false, true}) {
      for (const index_t too_many : {index_t{71}, index_t{70}}) {
        const auto got = on_every_executor("tile_set_gradients", [&](device::Context& context) {
          return of.gradients<float>(context, {x.data(), in, in, y.data(), out, out}, added, too_many);
        });
        for (index_t set = 0; set < of.count; ++set) {
          const SetTiles& s = of.sets[as_size(set)];
          const index_t first = s.samples == 0 ? 0 : of.tiles[as_size(s.begin)].first_row;
          for (index_t e = 0; e < stride; ++e) {
            const std::size_t at = as_size(set * stride + e);
            if (s.samples >= too_many || e >= in * out) {
              ASSERT_EQ(got[at], before[at]) << "set " << set;
              continue;
            }
            double sum = added ? static_cast<double>(before[at]) : 0.0;
            for (index_t r = first; r < first + s.samples; ++r)
              sum += static_cast<double>(x[as_size(r * in + e / out)]) * y[as_size(r * out + e % out)];
            ASSERT_NEAR(got[at], sum, 1e-4) << in << ' ' << out << " set " << set;
          }
        }
      }
    }
  }
}

TEST(Tiles, gradients_of_sets_of_bfloat16_are_those_of_its_values) {
  const OfSets4 of;
  const index_t in = 66, out = 5;
  std::vector<bfloat16> x, y;
  std::vector<float> wide_x, wide_y;
  for (const float value : random_values(of.rows * in, 4)) x.push_back(to_bfloat16(value));
  for (const float value : random_values(of.rows * out, 5)) y.push_back(to_bfloat16(value));
  for (const bfloat16 value : x) wide_x.push_back(to_float(value));
  for (const bfloat16 value : y) wide_y.push_back(to_float(value));
  device::Context context(1);
  EXPECT_TRUE(
      same_bits(of.gradients<bfloat16>(context, {x.data(), in, in, y.data(), out, out}, false, 100),
                of.gradients<float>(context, {wide_x.data(), in, in, wide_y.data(), out, out}, false, 100)));
}

TEST(Tiles, partials_of_sets_are_added_by_the_tree_of_each_set) {
  // Parameters of 3 and 700 columns, of sets with 5, no and 2 tiles.
  const std::vector<SetTiles> set_tiles = {{0, 5, 5}, {5, 5, 0}, {5, 7, 2}};
  const index_t width = 703, set_stride = 720;
  const std::vector<float> partials = random_values(7 * width, 6);
  std::vector<PartialPiece> pieces;
  for (const PartialPiece& whole :
       {PartialPiece{0, 3, 10, set_stride}, PartialPiece{3, 700, 2200, set_stride}}) {
    for (const PartialPiece& piece : pieces_of(whole)) pieces.push_back(piece);
  }
  const std::vector<float> before = random_values(5000, 7);
  for (const bool added : {false, true}) {
    const auto got = on_every_executor("sum_set_partials", [&](device::Context& context) {
      std::vector<float> sums = before;
      sum_set_partials(
          context,
          {partials.data(), width, set_tiles.data(), {pieces.data(), std::ssize(pieces)}, sums.data(), added},
          3, 5);
      return sums;
    });
    std::vector<float> expected = before;
    device::Context context(1);
    for (index_t set = 0; set < 3; ++set) {
      const index_t begin = set_tiles[as_size(set)].begin, count = set_tiles[as_size(set)].end - begin;
      for (const auto& [column, columns, place] : {std::array<index_t, 3>{0, 3, 10}, {3, 700, 2200}}) {
        std::vector<float> sum(as_size(columns));
        sum_partials(context, {partials.data() + begin * width + column, count, columns, width}, sum);
        for (index_t c = 0; c < columns; ++c) {
          float& to = expected[as_size(place + set * set_stride + c)];
          to = added ? to + sum[as_size(c)] : sum[as_size(c)];
        }
      }
    }
    EXPECT_TRUE(same_bits(got, expected)) << (added ? "added" : "written");
  }
}

TEST(Tiles, unit_rows_go_back_in_each_tile_alone) {
  const index_t rows = 3, cols = 40, stride = rows * cols + 2;
  device::Context serial(1);
  const std::vector<float> x = random_values(rows * cols, 8), d = random_values(tile_count * stride, 9);
  std::vector<float> y(x.size()), norms(as_size(rows));
  const float log_scale = 0.5F;
  const RowLength length{2.0F, &log_scale};
  unit_rows(serial, {x.data(), rows, cols}, length, {y.data(), rows, cols}, norms);
  const auto got = on_every_executor("tile_unit_rows_backward", [&](device::Context& context) {
    std::vector<float> of_tiles = d, along(as_size(tile_count * rows));
    tile_unit_rows_backward(
        context, tile_count,
        {{y.data(), rows, cols}, length, norms.data(), of_tiles.data(), stride, of_tiles.data() + rows * cols},
        along);
    return of_tiles;
  });
  for (index_t tile = 0; tile < tile_count; ++tile) {
    std::vector<float> alone(d.begin() + tile * stride, d.begin() + tile * stride + rows * cols);
    std::vector<float> along(as_size(rows)), sum(1);
    unit_rows_backward(serial, {y.data(), rows, cols}, length, norms, {alone.data(), rows, cols}, along);
    column_sums(serial, {along.data(), rows, 1}, sum);
    EXPECT_TRUE(std::equal(alone.begin(), alone.end(), got.begin() + tile * stride)) << tile;
    EXPECT_EQ(got[as_size(tile * stride + rows * cols)], sum[0]) << tile;
  }
}

TEST(Segments, are_copied_there_and_back) {
  const std::vector<Segment> parts = {{0, 7, 3}, {5, 0, 6}, {20, 100, 9000}};
  const std::vector<float> x = random_values(10'000, 10);
  const auto got = on_every_executor("segments", [&](device::Context& context) {
    const Segments segments(context.memory(), parts);
    std::vector<float> there(10'000, 0.0F), back(10'000, 0.0F);
    segments.copy(context, x.data(), there.data());
    segments.copy_back(context, there.data(), back.data());
    there.insert(there.end(), back.begin(), back.end());
    return there;
  });
  std::vector<float> expected(20'000, 0.0F);
  for (const auto& [from, to, count] : parts) {
    std::copy_n(x.begin() + from, count, expected.begin() + to);
    std::copy_n(x.begin() + from, count, expected.begin() + 10'000 + from);
  }
  EXPECT_TRUE(same_bits(got, expected));
}

}  // namespace
}  // namespace switchyard::ops
