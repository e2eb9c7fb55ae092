// What a token sees: those before it in its own sequence, and nothing else.
#include "nn/causal_attention.hpp"

#include <gtest/gtest.h>

#include "base/philox.hpp"
#include "comm/host_data_plane.hpp"
#include "comm/local/local_communicator.hpp"

namespace switchyard::nn {
namespace {

constexpr index_t window = 9, sequences = 3, width = 12;

std::vector<float> draw(std::uint64_t key) {
  std::vector<float> values;
  for (index_t i = 0; i < sequences * window * width; ++i)
    values.push_back(2.0F * Philox::at(key, RandomUse::test, static_cast<std::uint64_t>(i)).uniform(0) - 1.0F);
  return values;
}

class Attention : public ::testing::Test {
 protected:
  // In `shards` shards on one rank.
  std::vector<float> forward(const std::vector<float>& x, index_t shards = 1) {
    BatchTiles tiles;
    tiles.set_sharded(plane_, sequences, shards, window);
    const Batch batch{.tiles = &tiles};
    trace_.clear();
    const Pass pass{context_, batch, Mode::evaluation, clock_, &trace_};
    const tensor::Matrix y = module_.forward(pass, {x.data(), sequences * window, width});
    return {y.data, y.data + y.rows * y.cols};
  }

  device::Context context_{2};
  comm::LocalCommunicator communicator_;
  comm::HostDataPlane plane_{communicator_};
  CausalAttention module_{
      {.name = "attention", .width = width, .heads = 3, .window = window, .network = {}, .seed = 1}, plane_};
  PhaseClock clock_;
  Trace trace_;
};

TEST_F(Attention, of_a_token_does_not_see_later_ones_nor_other_sequences) {
  const std::vector<float> x = draw(1), y = forward(x);
  for (const index_t changed : {window, window + 4, 2 * window - 1}) {
    std::vector<float> other = x;
    other[as_size(changed * width + 2)] += 0.5F;
    const std::vector<float> found = forward(other);
    for (index_t row = 0; row < sequences * window; ++row) {
      const bool sees = row >= changed && row < 2 * window;
      const bool same =
          std::equal(y.begin() + row * width, y.begin() + (row + 1) * width, found.begin() + row * width);
      EXPECT_EQ(same, !sees) << "row " << row << ", changed " << changed;
    }
  }
}

TEST_F(Attention, has_the_same_bits_in_any_number_of_shards) {
  const std::vector<float> x = draw(2), y = forward(x);
  EXPECT_EQ(forward(x, 2), y);
  EXPECT_EQ(forward(x, 5), y);
}

}  // namespace
}  // namespace switchyard::nn
