// Batch norm's statistics: of samples and not of padding, and the running ones.
#include "nn/batch_norm.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "device/context.hpp"
#include "nn/network.hpp"

namespace switchyard::nn {
namespace {

// Two channels of one set or of two, with the memory that a network gives its layers.
struct Norm {
  explicit Norm(index_t sets = 1) : memory(as_size(6 * sets)) {
    float* next = memory.data();
    for (BankArray* array : {static_cast<BankArray*>(&gamma), static_cast<BankArray*>(&beta)}) {
      array->shape = {2};
      array->values = next;
      array->stride = 2;
      next += 2 * sets;
    }
    running_memory.resize(as_size(4 * sets));
    float* of_state = running_memory.data();
    for (StateArray& state : norm.state()) {
      state.values = of_state;
      state.stride = 2;
      of_state += 2 * sets;
    }
    for (index_t set = 0; set < sets; ++set) {
      gamma.of(set)[0] = 2.0F;
      gamma.of(set)[1] = 3.0F;
      beta.of(set)[0] = 0.5F;
      beta.of(set)[1] = -1.0F;
      std::ranges::fill(norm.state()[1].span(set), 1.0F);
    }
    norm.hold(sets, device::MemoryKind::host);
  }
  std::vector<float> running(index_t set = 0) {
    std::vector<float> values;
    for (const StateArray& state : norm.state()) {
      for (const float value : state.span(set)) values.push_back(value);
    }
    return values;
  }
  // Statistics of a set in force.
  struct View {
    const double *mean, *inv_std, *mean_dy, *mean_dy_xhat;
    const float *scale, *shift;
  };
  View view(index_t set = 0) const {
    const ops::NormView all = norm.view(gamma);
    const ops::Affine affine = norm.affine();
    return {all.mean.of(set),         all.inv_std.of(set),  all.mean_dy.of(set),
            all.mean_dy_xhat.of(set), affine.scale.of(set), affine.shift.of(set)};
  }

  std::vector<float> memory, running_memory;
  BatchNorm norm{"n", 2};
  Parameter gamma, beta;
};

// Rows of which some are samples, in tiles.
struct Rows {
  Rows(index_t rows, index_t samples, index_t tile_rows)
      : Rows(std::vector{rows}, std::vector{samples}, tile_rows) {}
  Rows(const std::vector<index_t>& rows, const std::vector<index_t>& samples, index_t tile_rows) {
    tiles.set_local(rows, samples, tile_rows);
  }
  Pass pass(Mode mode = Mode::training) { return {context, batch, mode, clock}; }

  device::Context context{1};
  BatchTiles tiles;
  Batch batch{.tiles = &tiles};
  PhaseClock clock;
};

// Two tiles with the values -1, 1 and 3, 5 in channel 0, and twice that in channel 1.
std::vector<double> two_tiles() { return {2, 0, 2, 2, 0, 8, 2, 4, 2, 2, 8, 8}; }

TEST(BatchNorm, normalises_with_the_batch_in_training_and_with_the_running_values_in_evaluation) {
  Rows rows(4, 4, 2);
  Norm of;
  of.norm.join_forward(rows.pass(), two_tiles(), of.gamma, of.beta);
  EXPECT_DOUBLE_EQ(of.view().mean[0], 2.0);
  EXPECT_DOUBLE_EQ(of.view().inv_std[0], 1.0 / std::sqrt(20.0 / 4.0 + 1e-5));
  EXPECT_FLOAT_EQ(of.view().scale[1], 3.0F / std::sqrt(20.0F));
  EXPECT_FLOAT_EQ(of.view().shift[1], -1.0F - 4.0F * 3.0F / std::sqrt(20.0F));
  // A tenth of the way from 0 and 1, with the unbiased variance.
  const std::vector<float> expected = {0.2F, 0.4F, 0.9F + 0.1F * 20.0F / 3.0F, 0.9F + 0.1F * 80.0F / 3.0F};
  for (std::size_t i = 0; i < expected.size(); ++i) EXPECT_FLOAT_EQ(of.running()[i], expected[i]);

  of.norm.join_forward(rows.pass(Mode::evaluation), {}, of.gamma, of.beta);
  EXPECT_DOUBLE_EQ(of.view().mean[0], static_cast<double>(0.2F));
  EXPECT_FLOAT_EQ(of.running()[0], 0.2F);
}

// A set without rows among them keeps what it has.
TEST(BatchNorm, keeps_the_statistics_of_sets_apart) {
  Rows rows({2, 0, 2}, {2, 0, 2}, 2);
  Norm of(3), first, last;
  const std::vector<double> moments = two_tiles();
  of.norm.join_forward(rows.pass(), moments, of.gamma, of.beta);
  Rows one(2, 2, 2);
  first.norm.join_forward(one.pass(), Span(moments).first(6), first.gamma, first.beta);
  last.norm.join_forward(one.pass(), Span(moments).subspan(6), last.gamma, last.beta);
  EXPECT_EQ(of.running(0), first.running());
  EXPECT_EQ(of.running(1), Norm().running());
  EXPECT_EQ(of.running(2), last.running());
  const std::vector<double> sums = {1, 2, 3, 4, 5, 6, 7, 8};
  of.norm.join_backward(rows.pass(), sums, 4);
  last.norm.join_backward(one.pass(), Span(sums).subspan(4), 4);
  for (index_t c = 0; c < 2; ++c) {
    EXPECT_EQ(of.view(2).mean[c], last.view().mean[c]);
    EXPECT_EQ(of.view(2).mean_dy[c], last.view().mean_dy[c]);
    EXPECT_EQ(of.view(2).mean_dy_xhat[c], last.view().mean_dy_xhat[c]);
    EXPECT_EQ(of.view(0).mean_dy[c], sums[as_size(c)] / 8);
    EXPECT_EQ(of.view(1).mean_dy[c], 0.0);
  }
}

TEST(BatchNorm, keeps_its_running_values_without_two_samples) {
  for (const index_t samples : {0, 1}) {
    Rows rows(samples, samples, 2);
    Norm of;
    const std::vector<float> before = of.running();
    // Nothing, or one image of four places.
    const std::vector<double> moments =
        samples == 0 ? std::vector<double>() : std::vector<double>{4, 3, 2, 4, 1, 0};
    of.norm.join_forward(rows.pass(), moments, of.gamma, of.beta);
    EXPECT_EQ(of.running(), before) << samples;
    EXPECT_TRUE(std::isfinite(of.view().scale[0]) && std::isfinite(of.view().shift[1])) << samples;
    of.norm.join_backward(rows.pass(), std::vector<double>(static_cast<std::size_t>(4 * samples)), 4);
    EXPECT_EQ(of.view().mean_dy[0], 0.0);
  }
}

// The padding of an expert's rows changes neither results nor gradients nor running values.
TEST(BatchNorm, does_not_see_padding) {
  for (const std::string text :
       {"padded_conv:3 batch_norm relu max_pool dense:classes", "conv:3 batch_norm relu max_pool dense:classes",
        "padded_conv:3 batch_norm dense:classes"}) {
    SCOPED_TRACE(text);
    constexpr index_t samples = 5, features = 2 * 6 * 6;
    const auto layers = nn::parse_network(text, nn::NetworkRole::expert);
    const NetworkShape shape = NetworkShape::resolve("expert", layers, {2, 6, 6}, 3);
    const auto run = [&](index_t rows) {
      Rows of_expert(rows, samples, 4);
      const BatchTiles& tiles = of_expert.tiles;
      const Pass pass = of_expert.pass();
      Network network({"experts/0000"}, shape, {}, 7);
      std::vector<float> images(static_cast<std::size_t>(rows * features));
      for (std::size_t i = 0; i < samples * features; ++i)
        images[i] = static_cast<float>((i * 37) % 101) / 50.0F - 1.0F;
      NetworkRecord record;
      of_expert.batch.rows = tensor::ConstMatrix(images.data(), rows, features);
      network.forward(pass, record);
      network.begin_backward(pass, record);
      const tensor::Matrix d_out = record.d_output();
      for (index_t r = 0; r < rows; ++r)
        for (index_t c = 0; c < d_out.cols; ++c)
          d_out(r, c) = r < samples ? static_cast<float>(r + c) - 2.0F : 0.0F;
      std::vector<float> partials(static_cast<std::size_t>(tiles.local_count() * network.partial_width()));
      network.backward(pass, record, [&](IndexRange /*columns*/, const auto& of_tiles) {
        of_tiles(IndexRange{0, tiles.local_count()}, TilePartials{partials.data(), network.partial_width()});
      });
      std::vector<float> all;
      for (index_t r = 0; r < samples; ++r)
        for (index_t c = 0; c < 3; ++c) all.push_back(record.output()(r, c));
      // Of all tiles; with padding, tiles of nothing but padding add zero.
      for (index_t i = 0; i < network.partial_width(); ++i) {
        double sum = 0;
        for (index_t tile = 0; tile < tiles.local_count(); ++tile)
          sum += static_cast<double>(partials[static_cast<std::size_t>(tile * network.partial_width() + i)]);
        all.push_back(static_cast<float>(sum));
      }
      for (StateArray& state : network.layer(0).state())
        for (const float value : state.span(0)) all.push_back(value);
      return all;
    };
    const std::vector<float> expected = run(samples), padded = run(12);
    ASSERT_EQ(padded.size(), expected.size());
    for (std::size_t i = 0; i < expected.size(); ++i)
      EXPECT_NEAR(padded[i], expected[i], 1e-5F * (1.0F + std::abs(expected[i]))) << i;
  }
}

}  // namespace
}  // namespace switchyard::nn
