#include "ops/tokens.hpp"

#include <cmath>
#include <random>

#include "conformance/ops/executors.hpp"
#include "support/tile_table.hpp"

namespace switchyard::ops {
namespace {

std::vector<std::int32_t> random_tokens(index_t count, std::int32_t vocabulary, unsigned seed) {
  std::mt19937 generator(seed);
  std::vector<std::int32_t> tokens(as_size(count));
  for (std::int32_t& token : tokens)
    token = static_cast<std::int32_t>(generator() % static_cast<unsigned>(vocabulary));
  return tokens;
}

TEST(CrossEntropy, is_that_of_the_softmax_and_leaves_its_gradient) {
  constexpr double scale = 0.125;
  for (const index_t vocabulary : {index_t{1}, index_t{2}, index_t{33}, index_t{256}}) {
    constexpr index_t rows = 5;
    const std::vector<float> logits = random_values(rows * vocabulary, 5, 4.0F);
    const auto targets = random_tokens(rows, static_cast<std::int32_t>(vocabulary), 6);
    // The gradient, then losses and predictions.
    const auto run = [&](device::Context& context, float of_gradient) {
      std::vector<float> result = logits;
      std::vector<float> losses(as_size(rows));
      std::vector<std::int32_t> predicted(as_size(rows));
      cross_entropy(context, {result.data(), rows, vocabulary}, targets, of_gradient, losses, predicted);
      result.insert(result.end(), losses.begin(), losses.end());
      result.insert(result.end(), predicted.begin(), predicted.end());
      return result;
    };
    const auto got = on_every_executor("cross_entropy",
                                       [&](device::Context& c) { return run(c, static_cast<float>(scale)); });
    const auto row = [&](index_t r) { return logits.data() + r * vocabulary; };
    for (index_t r = 0; r < rows; ++r) {
      double total = 0;
      index_t best = 0;
      for (index_t c = 0; c < vocabulary; ++c) {
        total += std::exp(static_cast<double>(row(r)[c]));
        if (row(r)[c] > row(r)[best]) best = c;
      }
      const std::int32_t target = targets[as_size(r)];
      for (index_t c = 0; c < vocabulary; ++c) {
        const double p = std::exp(static_cast<double>(row(r)[c])) / total;
        EXPECT_NEAR(got[as_size(r * vocabulary + c)], scale * (p - (c == target ? 1 : 0)), 1e-6);
      }
      EXPECT_NEAR(got[as_size(rows * vocabulary + r)], std::log(total) - row(r)[target], 1e-5);
      EXPECT_EQ(got[as_size(rows * (vocabulary + 1) + r)], static_cast<float>(best));
    }
    // Evaluation has the same losses and predictions.
    device::Context serial(1);
    const auto evaluated = run(serial, 0.0F);
    EXPECT_TRUE(
        std::equal(evaluated.begin() + std::ssize(logits), evaluated.end(), got.begin() + std::ssize(logits)));
  }
}

TEST(AddRowsByToken, adds_the_rows_of_a_token_one_after_the_other) {
  constexpr index_t vocabulary = 7, cols = 33;
  for (const bool added : {false, true}) {
    const test::TileTable tiles({50, 0, 1, 20});
    // The last token has no row, and one has many.
    const auto tokens = random_tokens(tiles.rows(), vocabulary - 1, 8);
    const std::vector<float> d_x = random_values(tiles.rows() * cols, 9);
    const index_t table = vocabulary * cols, stride = table + 3;
    const std::vector<float> before = random_values(4 * stride, 10);
    const auto got = on_every_executor("add_rows_by_token", [&](device::Context& context) {
      std::vector<std::int32_t> begin(as_size(4 * (vocabulary + 1))), order(tokens.size());
      const TokenOrder of{tokens, begin, order, vocabulary};
      sort_by_token(context, tiles.view(), of);
      for (index_t tile = 0; tile < 4; ++tile) {
        EXPECT_EQ(begin[as_size(tile * (vocabulary + 1))], 0);
        EXPECT_EQ(begin[as_size(tile * (vocabulary + 1) + vocabulary)], tiles.tiles()[as_size(tile)].rows);
      }
      std::vector<float> tables = before;
      add_rows_by_token(context, tiles.view(), of, {d_x.data(), tiles.rows(), cols},
                        {tables.data(), stride, added});
      return tables;
    });
    std::vector<float> expected = before;
    for (index_t tile = 0; tile < 4; ++tile) {
      float* const of_tile = expected.data() + tile * stride;
      if (!added) std::fill_n(of_tile, table, 0.0F);
      const Tile& rows = tiles.tiles()[as_size(tile)];
      for (index_t r = rows.first_row; r < rows.first_row + rows.rows; ++r) {
        for (index_t c = 0; c < cols; ++c) of_tile[tokens[as_size(r)] * cols + c] += d_x[as_size(r * cols + c)];
      }
    }
    EXPECT_TRUE(same_bits(got, expected)) << (added ? "added" : "written");
  }
}

}  // namespace
}  // namespace switchyard::ops
