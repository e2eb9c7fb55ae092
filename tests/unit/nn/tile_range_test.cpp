// A layer's arithmetic is that of its tiles, whatever ranges of them it is given.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
#include <utility>

#include "base/philox.hpp"
#include "device/tile_runs.hpp"
#include "nn/network.hpp"
#include "ops/counted.hpp"

namespace switchyard::nn {
namespace {

using Ranges = std::vector<IndexRange>;

std::vector<float> draw(index_t count, std::uint64_t key) {
  std::vector<float> values;
  for (index_t i = 0; i < count; ++i)
    values.push_back(2.0F * Philox::at(key, RandomUse::test, static_cast<std::uint64_t>(i)).uniform(0) - 1.0F);
  return values;
}

// Rows of two sets of weights, with padding; one tile is short and one is nothing but padding.
struct Rows {
  Rows() { tiles.set_local(std::vector<index_t>{7, 6}, std::vector<index_t>{7, 3}, 3); }
  Pass pass() { return {context, batch, Mode::training, clock}; }

  device::Context context{1};
  BatchTiles tiles;
  Batch batch{.tiles = &tiles};
  PhaseClock clock;
};

TEST(TileRange, PaddingIsWhatLiesBehindTheRowsOfASet) {
  const Rows rows;
  const BatchTiles& tiles = rows.tiles;
  EXPECT_EQ(tiles.padding(tiles.run({0, 3})), 0);
  EXPECT_EQ(tiles.padding(tiles.run({3, 5})), 3);
  EXPECT_EQ(tiles.padding({{3, 5}, {9, 12}}), 2);
}

enum class Pieces { whole, of_two };
enum class Lie { in_order, anywhere };

// All that forward and backward of the layer write, range by range; forward in pieces of a tile's rows.
std::vector<float> run(Network& network, index_t l, const Ranges& ranges, Pieces pieces = Pieces::whole,
                       Lie lie = Lie::in_order) {
  Layer& layer = network.layer(l);
  Rows rows;
  const Pass pass = rows.pass();
  const index_t count = rows.tiles.local_rows();
  const index_t features = layer.in_features();
  std::vector<float> x = draw(count * features, 1);
  std::vector<std::int32_t> places(as_size(count));
  if (lie == Lie::anywhere) {
    const std::vector<float> in_order = std::exchange(x, std::vector<float>(x.size()));
    for (index_t row = 0; row < count; ++row) {
      places[as_size(row)] = static_cast<std::int32_t>(5 * row % count);
      std::copy_n(in_order.begin() + row * features, features, x.begin() + 5 * row % count * features);
    }
  }
  const tensor::ConstMatrix lies(x.data(), count, features);
  const std::unique_ptr<LayerRecord> record = layer.make_record();
  record->input =
      lie == Lie::anywhere ? tensor::RowSource(places.data(), count, lies) : tensor::RowSource(lies);
  layer.begin_forward(pass, *record);
  if (layer.needs_batch_statistics()) {
    for (const IndexRange tiles : ranges) layer.forward_statistics(pass, tiles, *record);
    layer.join_forward_statistics(pass, *record);
  }
  for (const IndexRange tiles : ranges) {
    const IndexRange all = rows.tiles.rows(tiles);
    const index_t piece = pieces == Pieces::of_two && layer.forward_takes_pieces() ? 2 : all.size();
    for (index_t first = all.begin; first < all.end; first += piece)
      layer.forward(pass, {tiles, {first, std::min(all.end, first + piece)}}, *record);
  }

  const auto all_of = [](const tensor::Matrix& m) {
    return std::vector<float>(m.data, m.data + m.rows * m.cols);
  };
  std::vector<float> written = all_of(record->output);
  std::vector<float> d_y = draw(count * layer.out_features(), 2);
  std::vector<float> d_x(as_size(l == 0 ? 0 : count * layer.in_features()));
  std::vector<float> partials(as_size(rows.tiles.local_count() * network.partial_width()));
  record->d_output = {d_y.data(), count, layer.out_features()};
  const tensor::Matrix d_input =
      l == 0 ? tensor::Matrix() : tensor::Matrix(d_x.data(), count, layer.in_features());
  layer.begin_backward(pass, *record);
  if (layer.needs_batch_statistics()) {
    for (const IndexRange tiles : ranges) layer.backward_statistics(pass, tiles, *record);
    layer.join_backward_statistics(pass, *record);
  }
  for (const IndexRange tiles : ranges)
    layer.backward(pass, tiles, *record, d_input,
                   {partials.data() + tiles.begin * network.partial_width(), network.partial_width()});
  written.insert(written.end(), d_x.begin(), d_x.end());
  written.insert(written.end(), partials.begin(), partials.end());
  return written;
}

TEST(TileRanges, give_the_bits_of_their_tiles) {
  for (
      const std::string text :
      {"conv:3 batch_norm relu max_pool padded_conv:4 batch_norm relu max_pool dense:6 relu dense:classes",
       "padded_conv:3 relu max_pool padded_conv:4 padded_conv:5 relu dense:6 relu dense:classes",
       "padded_conv:3/2 batch_norm relu6 inverted_residual:3*2 pointwise_conv:4 global_average_pool dense:classes",
       "patch_filters:3 bias cubic sum:classes", "patches:3 patch_filters:2 bias relu sum:classes"}) {
    NetworkShape shape =
        NetworkShape::resolve("expert", parse_network(text, NetworkRole::expert), {2, 6, 6}, 3);
    shape.show_hidden();
    shape.layers.push_back(TernaryShape{3, 3, "product", 3});
    shape.layers.push_back(RowFunctionShape{RowFunctionShape::Kind::log_softmax, 3});
    for (const bool per_tile : {false, true}) {
      for (const Precision precision : {Precision::float32, Precision::bf16}) {
        Network network({"a", "b"}, shape, {{per_tile, 1000, 1}, precision}, 5);
        Rows rows;
        network.values_changed(rows.context);
        for (index_t l = 0; l < network.layer_count(); ++l) {
          const Ranges each = {{0, 1}, {1, 2}, {2, 3}, {3, 4}, {4, 5}};
          const std::vector<float> by_tile = run(network, l, each);
          EXPECT_EQ(by_tile, run(network, l, each, Pieces::of_two)) << text << ", layer " << l;
          EXPECT_EQ(by_tile, run(network, l, {{0, 5}})) << text << ", layer " << l;
          EXPECT_EQ(by_tile, run(network, l, {{0, 2}, {2, 4}, {4, 5}})) << text << ", layer " << l;
        }
      }
    }
  }
}

// Samples of a shuffled data set, and those that a router sends to an expert.
TEST(FirstLayer, reads_rows_wherever_they_lie) {
  for (const std::string text :
       {"dense:classes", "dense:6 relu dense:classes", "conv:3 relu max_pool dense:classes",
        "conv:3 batch_norm relu max_pool dense:classes", "padded_conv:3 dense:classes",
        "padded_conv:3 batch_norm relu max_pool dense:classes", "pointwise_conv:3 dense:classes",
        "depthwise_conv/2 dense:classes", "global_average_pool dense:classes",
        "patch_filters:3 bias cubic sum:classes", "patches:3 patch_filters:2 bias relu sum:classes"}) {
    const NetworkShape shape =
        NetworkShape::resolve("expert", parse_network(text, NetworkRole::expert), {2, 6, 6}, 3);
    for (const Precision precision : {Precision::float32, Precision::bf16}) {
      Network network({"a", "b"}, shape, {{false, 1000, 1}, precision}, 5);
      Rows rows;
      network.values_changed(rows.context);
      for (const Pieces pieces : {Pieces::whole, Pieces::of_two}) {
        const Ranges each = {{0, 1}, {1, 2}, {2, 3}, {3, 4}, {4, 5}};
        EXPECT_EQ(run(network, 0, each, pieces, Lie::anywhere), run(network, 0, each, pieces))
            << text << ", " << (precision == Precision::bf16 ? "bf16" : "float32");
      }
    }
  }
}

// An expert with few samples has many rows of padding.
TEST(Convolutions, of_padding_alone_are_not_done) {
  for (const std::string text : {"padded_conv:3 relu padded_conv:4 relu dense:classes",
                                 "padded_conv:3 batch_norm relu padded_conv:4 batch_norm relu dense:classes"}) {
    const NetworkShape shape =
        NetworkShape::resolve("expert", parse_network(text, NetworkRole::expert), {2, 16, 16}, 3);
    Network network({"a", "b", "c"}, shape, {}, 5);
    Rows rows;
    constexpr index_t of_set = 64, samples = 20, computed = 32;
    rows.tiles.set_local(std::vector<index_t>{of_set, of_set, 0}, std::vector<index_t>{samples, 0, 0}, of_set);
    network.values_changed(rows.context);
    const Pass pass = rows.pass();
    Layer& layer = network.layer(1);
    std::vector<float> x = draw(2 * of_set * layer.in_features(), 1);
    // What would make anything of it a NaN.
    std::fill(x.begin() + computed * layer.in_features(), x.end(), std::numeric_limits<float>::quiet_NaN());
    const std::unique_ptr<LayerRecord> record = layer.make_record();
    record->input = tensor::ConstMatrix(x.data(), 2 * of_set, layer.in_features());
    const ops::MultiplyAdds before = ops::counted_multiply_adds();
    layer.begin_forward(pass, *record);
    if (layer.needs_batch_statistics()) {
      layer.forward_statistics(pass, {0, 2}, *record);
      layer.join_forward_statistics(pass, *record);
    }
    layer.forward(pass, rows.tiles.run({0, 2}), *record);
    const ops::MultiplyAdds forward = ops::counted_multiply_adds() - before;
    EXPECT_EQ(forward.all, computed * layer.multiply_adds()) << text;
    EXPECT_EQ(forward.of_padding, (computed - samples) * layer.multiply_adds()) << text;
    for (index_t row = computed; row < 2 * of_set; ++row) {
      for (index_t c = 0; c < layer.out_features(); ++c)
        ASSERT_EQ(record->output(row, c), 0) << row << ' ' << c;
    }

    std::vector<float> d_y(as_size(2 * of_set * layer.out_features()));
    const std::vector<float> of_samples = draw(samples * layer.out_features(), 2);
    std::copy(of_samples.begin(), of_samples.end(), d_y.begin());
    std::vector<float> d_x(x.size(), 7), partials(as_size(2 * network.partial_width()));
    record->d_output = {d_y.data(), 2 * of_set, layer.out_features()};
    layer.begin_backward(pass, *record);
    if (layer.needs_batch_statistics()) {
      layer.backward_statistics(pass, {0, 2}, *record);
      layer.join_backward_statistics(pass, *record);
    }
    const ops::MultiplyAdds between = ops::counted_multiply_adds();
    layer.backward(pass, {0, 2}, *record, {d_x.data(), 2 * of_set, layer.in_features()},
                   {partials.data(), network.partial_width()});
    EXPECT_EQ((ops::counted_multiply_adds() - between).all, 2 * computed * layer.multiply_adds()) << text;
    const auto behind_samples = d_x.begin() + samples * layer.in_features();
    EXPECT_TRUE(std::all_of(behind_samples, d_x.end(), [](float d) { return d == 0; })) << text;
    EXPECT_TRUE(std::none_of(partials.begin(), partials.end(), [](float d) { return std::isnan(d); })) << text;
  }
}

// A wide output leaves the cache: forward hands it on piece by piece.
TEST(Network, hands_on_every_row_once_with_the_bits_of_whole_tiles) {
  const NetworkShape shape = NetworkShape::resolve(
      "gate", parse_network("dense:40 relu dense:experts", NetworkRole::gate), {1, 1, 9}, 1500);
  Network network({"gate"}, shape, {}, 5);
  constexpr index_t rows = 300;
  const std::vector<float> x = draw(rows * 9, 1);
  device::Context context(2);
  PhaseClock clock;
  const auto forward = [&](index_t tile_rows, auto&& then) {
    BatchTiles tiles;
    tiles.set_local(std::vector<index_t>{rows}, std::vector<index_t>{rows}, tile_rows);
    const Batch batch{.tiles = &tiles, .rows = tensor::ConstMatrix(x.data(), rows, 9)};
    NetworkRecord record;
    network.forward({context, batch, Mode::evaluation, clock}, record, then);
    const tensor::Matrix y = record.output();
    return std::vector<float>(y.data, y.data + rows * y.cols);
  };
  std::vector<std::atomic<int>> seen(rows);
  std::atomic<index_t> calls = 0;
  const std::vector<float> whole = forward(rows, [&](IndexRange piece) {
    ++calls;
    for (index_t r = piece.begin; r < piece.end; ++r) ++seen[as_size(r)];
  });
  for (const auto& times : seen) EXPECT_EQ(times, 1);
  EXPECT_GT(calls, 1);
  EXPECT_EQ(whole, forward(20, [](IndexRange) {}));
}

TEST(TileRuns, are_each_tile_once_and_on_a_cpu_alone) {
  device::Context context(2);
  Vector<int> seen(index_t{9}, 0);
  device::for_each_tile_run(context, std::ssize(seen), [&](IndexRange tiles) {
    EXPECT_EQ(tiles.size(), 1);
    ++seen[tiles.begin];
  });
  EXPECT_EQ(seen, Vector<int>(index_t{9}, 1));
}

}  // namespace
}  // namespace switchyard::nn
