// Sums over the rows of tiles, bit for bit in the order of the rows, and over tiles in that of the tree.
#include "ops/tile_sums.hpp"

#include <limits>

#include "base/error.hpp"
#include "conformance/ops/executors.hpp"
#include "ops/reduce.hpp"

namespace switchyard::ops {
namespace {

// Tiles of uneven rows, one of none.
const std::vector<Tile> tiles = {{0, 40, 40, 0}, {40, 0, 0, 0}, {40, 1, 1, 0}, {41, 33, 33, 0}};
constexpr index_t rows = 74;
constexpr index_t width = 7;

// sums: [tiles, width], 0.5 each, since all are added to what is there.
template <class Add>
std::vector<double> sums_on_every_executor(const std::string& what, const Add& add) {
  return on_every_executor(what, [&](device::Context& context) {
    std::vector<double> sums(tiles.size() * width, 0.5);
    add(context, TileSums{{tiles.data(), std::ssize(tiles), 40}, sums.data(), width});
    return sums;
  });
}

template <class Expected>
void expect_sums(const std::vector<double>& got, index_t first, index_t count, const Expected& expected) {
  for (std::size_t t = 0; t < tiles.size(); ++t) {
    for (index_t c = 0; c < width; ++c) {
      double sum = 0.5;
      if (c >= first && c < first + count) expected(tiles[t], c - first, sum);
      EXPECT_EQ(got[t * width + as_size(c)], sum) << "tile " << t << ", column " << c;
    }
  }
}

TEST(TileSums, add_figures_as_the_sum_of_one_array) {
  const std::vector<float> f32 = random_values(rows, 1, 100.0F);
  const std::vector<double> f64(f32.rbegin(), f32.rend());
  const auto got = sums_on_every_executor("add_figures", [&](device::Context& context, const TileSums& sums) {
    RowFigures figures;
    figures.add(Span<const float>(f32), sums, 1);
    figures.add(Span<const double>(f64), sums.from(2), 0);
    figures.add(Span<const float>(), sums, 5);
    EXPECT_EQ(figures.count(), 2);
    add_figures(context, sums, figures);
  });
  device::Context context(1);
  expect_sums(got, 1, 2, [&](const Tile& tile, index_t c, double& sum) {
    if (c == 0) add_sum(context, Span<const float>(f32).subspan(tile.first_row, tile.rows), sum);
    if (c == 1) add_sum(context, Span<const double>(f64).subspan(tile.first_row, tile.rows), sum);
  });
}

TEST(TileSums, refuse_more_figures_than_there_is_room_for) {
  const std::vector<float> one(1);
  RowFigures figures;
  for (index_t i = 0; i < RowFigures::most; ++i) figures.add(Span<const float>(one), {}, 0);
  EXPECT_THROW(figures.add(Span<const float>(one), {}, 0), ContractViolation);
}

TEST(TileSums, add_columns_row_by_row) {
  const PaddedMatrix x(random_values(rows * 5, 2, 3.0F), rows, 5, 2);
  const PaddedMatrix y(random_values(rows * 5, 3, 3.0F), rows, 5, 1);
  const auto of_rows = [&](const auto& term) {
    return [&](const Tile& tile, index_t c, double& sum) {
      for (index_t r = tile.first_row; r < tile.first_row + tile.rows; ++r) sum += term(r, c);
    };
  };
  const auto columns = sums_on_every_executor(
      "add_columns",
      [&](device::Context& context, const TileSums& sums) { add_columns(context, sums.from(1), x.view()); });
  expect_sums(columns, 1, 5,
              of_rows([&](index_t r, index_t c) { return static_cast<double>(x.view()(r, c)); }));
  const auto squares =
      sums_on_every_executor("add_squared_differences", [&](device::Context& context, const TileSums& sums) {
        add_squared_differences(context, sums, x.view(), y.view());
      });
  expect_sums(squares, 0, 5, of_rows([&](index_t r, index_t c) {
                const double error = static_cast<double>(x.view()(r, c)) - static_cast<double>(y.view()(r, c));
                return error * error;
              }));
}

TEST(TileSums, add_weights_where_an_index_says) {
  constexpr index_t slots = 3;
  const std::vector<float> weights = random_values(rows * slots, 4);
  std::vector<std::int32_t> index;
  for (index_t i = 0; i < rows * slots; ++i) index.push_back(static_cast<std::int32_t>(i * i % 4));
  for (const bool weighed : {true, false}) {
    const tensor::ConstMatrix w =
        weighed ? tensor::ConstMatrix(weights.data(), rows, slots) : tensor::ConstMatrix();
    const auto got =
        sums_on_every_executor("add_by_index", [&](device::Context& context, const TileSums& sums) {
          add_by_index(context, sums.from(2), index, slots, 4, w);
        });
    expect_sums(got, 2, 4, [&](const Tile& tile, index_t c, double& sum) {
      for (index_t i = tile.first_row * slots; i < (tile.first_row + tile.rows) * slots; ++i) {
        if (index[as_size(i)] == c) sum += weighed ? static_cast<double>(weights[as_size(i)]) : 1.0;
      }
    });
  }
}

TEST(TileSums, mark_tiles_with_a_number_that_is_not_finite) {
  for (const float bad : {std::numeric_limits<float>::quiet_NaN(), -std::numeric_limits<float>::infinity()}) {
    for (const index_t padding : {0, 2}) {
      std::vector<float> values = random_values(rows * 5, 5);
      values[40 * 5 + 4] = values[73 * 5] = bad;
      const PaddedMatrix x(values, rows, 5, padding);
      const auto got =
          sums_on_every_executor("add_not_finite", [&](device::Context& context, const TileSums& sums) {
            add_not_finite(context, sums.from(3), x.view());
          });
      expect_sums(got, 3, 1, [&](const Tile& tile, index_t, double& sum) {
        if (tile.first_row + tile.rows > 40 && tile.rows > 0 && tile.first_row >= 40)
          sum = std::numeric_limits<double>::infinity();
      });
    }
  }
}

TEST(TileSums, are_joined_by_the_tree) {
  for (const index_t count : {1, 2, 3, 8, 13, 64}) {
    const std::vector<float> values = random_values(count * width, 6, 1e3F);
    const std::vector<double> all(values.begin(), values.end());
    const auto got = on_every_executor("join_tile_sums", [&](device::Context& context) {
      std::vector<double> sums(2 * width, 0.25);
      join_tile_sums(context, all, Span<double>(sums).first(width), Span<double>(sums).last(width));
      return sums;
    });
    for (std::size_t c = 0; c < width; ++c) {
      std::vector<double> column;
      for (std::size_t t = 0; t < as_size(count); ++t) column.push_back(all[t * width + c]);
      EXPECT_EQ(got[c], sum_tree(column)) << count;
      EXPECT_EQ(got[width + c], 0.25 + sum_tree(column)) << count;
    }
  }
}

TEST(TileSums, are_added_times_a_factor) {
  const std::vector<double> values = {1, -2, 0.5};
  const auto got = on_every_executor("add_scaled", [&](device::Context& context) {
    std::vector<double> sums(3, 4.0);
    add_scaled(context, values, 0.25, sums);
    return sums;
  });
  EXPECT_EQ(got, (std::vector<double>{4.25, 3.5, 4.125}));
}

}  // namespace
}  // namespace switchyard::ops
