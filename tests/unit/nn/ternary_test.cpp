// Ternary layers: the bits of forward are those of the integers, however a product reads them.
#include "nn/ternary.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/error.hpp"
#include "base/philox.hpp"
#include "nn/network.hpp"

namespace switchyard::nn {
namespace {

constexpr index_t in = 40, out = 18;

std::vector<float> draw(index_t count, std::uint64_t key) {
  std::vector<float> values;
  for (index_t i = 0; i < count; ++i)
    values.push_back(2.0F * Philox::at(key, RandomUse::test, static_cast<std::uint64_t>(i)).uniform(0) - 1.0F);
  return values;
}

NetworkShape shape_of(bool integer_products, index_t matrices = 2) {
  return {{TernaryShape{in, out, "product", matrices, integer_products}}};
}

// Rows of three sets, of which one has none.
struct Rows {
  Rows() { tiles.set_local(std::vector<index_t>{70, 0, 5}, std::vector<index_t>{70, 0, 5}, 64); }

  device::Context context{2};
  BatchTiles tiles;
  std::vector<float> x = draw(75 * in, 1);
  Batch batch{.tiles = &tiles, .rows = tensor::ConstMatrix(x.data(), 75, in)};
  PhaseClock clock;
};

std::vector<float> forward(Network& network, Rows& rows, Mode mode) {
  network.values_changed(rows.context);
  NetworkRecord record;
  network.forward({rows.context, rows.batch, mode, rows.clock}, record);
  const tensor::Matrix y = record.output();
  return {y.data, y.data + y.rows * y.cols};
}

TEST(Ternary, forward_has_one_result) {
  Rows rows;
  std::vector<float> expected;
  for (const bool integers : {false, true}) {
    for (const Precision precision : {Precision::float32, Precision::bf16}) {
      Network network({"a", "b", "c"}, shape_of(integers), {{}, precision}, 5);
      for (const Mode mode : {Mode::training, Mode::evaluation}) {
        const std::vector<float> y = forward(network, rows, mode);
        if (expected.empty()) expected = y;
        EXPECT_EQ(y, expected);
      }
    }
  }
  EXPECT_NE(*std::ranges::max_element(expected), 0.0F);
}

// A matrix that is a thousand times smaller than the one beside it is not all zeros.
TEST(Ternary, matrices_side_by_side_have_a_mean_each) {
  Rows rows;
  Network network({"a", "b", "c"}, shape_of(false), {}, 5);
  const Parameter& weight = network.layer(0).parameters()[0];
  std::vector<float> before = forward(network, rows, Mode::evaluation);
  for (index_t set = 0; set < 3; ++set) {
    for (index_t i = 0; i < in * out; ++i) {
      if (i % out < out / 2) weight.of(set)[i] *= 0x1p-10F;
    }
  }
  const std::vector<float> after = forward(network, rows, Mode::evaluation);
  for (std::size_t i = 0; i < after.size(); ++i)
    EXPECT_EQ(after[i], before[i] * (i % out < out / 2 ? 0x1p-10F : 1.0F));
}

TEST(Ternary, follows_its_weight_when_told_that_it_changed) {
  Rows rows;
  Network network({"a", "b", "c"}, shape_of(true), {}, 5);
  const std::vector<float> before = forward(network, rows, Mode::evaluation);
  const Span<float> values = network.values();
  for (float& value : values) value = -value;
  std::vector<float> after = forward(network, rows, Mode::evaluation);
  for (float& y : after) y = y == 0 ? 0 : -y;  // there is no -0
  EXPECT_EQ(after, before);
}

TEST(Ternary, counts_what_a_dense_layer_does) {
  const Network ternary(shape_of(true));
  const Network dense({{DenseShape{.in = in, .out = out, .bias = false}}});
  EXPECT_EQ(ternary.parameter_count(), dense.parameter_count());
  EXPECT_EQ(ternary.training_multiply_adds(), dense.training_multiply_adds());
  EXPECT_THROW(Network({{TernaryShape{most_quantised_inputs + 1, 1, "product"}}}), ContractViolation);
}

}  // namespace
}  // namespace switchyard::nn
