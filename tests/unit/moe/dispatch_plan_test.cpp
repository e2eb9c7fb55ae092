// The plan that kernels find against one in words, place by place, for random choices on 1 to 4 ranks.
#include "moe/dispatch_plan.hpp"

#include <gmock/gmock.h>

#include <algorithm>
#include <numeric>

#include "base/philox.hpp"
#include "comm/host_data_plane.hpp"
#include "comm/threads/thread_group.hpp"
#include "nn/batch_tiles.hpp"
#include "support/reference_plan.hpp"

namespace switchyard::moe {
namespace {

using testing::ElementsAreArray;

struct Setting {
  int ranks = 1;
  index_t batch = 53;
  index_t experts = 5;
  index_t slots = 2;
  std::uint32_t dropped_in_ten = 0;
  int replicas = 1;
  index_t blocks = 0;       // of an expert's rows, for replicas
  bool scattered = false;   // samples are found by an index
  bool ranks_known = true;  // how many samples each has
  std::int32_t idle = -1;   // an expert that nobody chooses
  PlacementRule rule = PlacementRule::block;
};

struct Choices {
  std::vector<std::int32_t> experts, lies;
  std::vector<std::uint8_t> dropped;
};

std::uint32_t draw(index_t sample, index_t i) {
  return Philox::at(11, RandomUse::test, static_cast<std::uint64_t>(sample), static_cast<std::uint32_t>(i))
      .word[0];
}

// Of a rank's samples, a pure function of their places in the batch.
Choices choices_of(const Setting& s, index_t first, index_t count) {
  Choices found;
  for (index_t n = first; n < first + count; ++n) {
    std::vector<std::int32_t> all(as_size(s.experts));
    std::iota(all.begin(), all.end(), 0);
    std::erase(all, s.idle);
    std::ranges::sort(all, {}, [&](std::int32_t e) { return draw(n, e); });
    for (index_t i = 0; i < s.slots; ++i) {
      found.experts.push_back(all[as_size(i)]);
      found.dropped.push_back(draw(n, 1000 + i) % 10 < s.dropped_in_ten ? 1 : 0);
    }
    found.lies.push_back(static_cast<std::int32_t>(s.scattered ? 3 * n % 101 : n - first));
  }
  return found;
}

void check_rank(const Setting& s, comm::Communicator& communicator) {
  comm::HostDataPlane data_plane(communicator);
  device::Context context(2);
  nn::BatchTiles tiles;
  tiles.set_sharded(data_plane, s.batch, 8);
  const index_t count = tiles.local_rows();
  Choices choices = choices_of(s, tiles.first_row(), count);
  Routing routing;
  routing.experts = choices.experts;
  if (s.dropped_in_ten > 0) routing.dropped = choices.dropped;
  routing.samples = count;
  routing.slots = s.slots;
  routing.is_dense = s.slots == s.experts;
  const nn::RowBlocks blocks{s.blocks, s.replicas, 4};
  const Placement placement = Placement::make(s.rule, s.experts, s.ranks, s.replicas);
  const std::vector<float> rows(101);
  const tensor::ConstMatrix matrix(rows.data(), 101, 1);

  DispatchPlan plan(placement, communicator.rank(), context.memory());
  const reference::Plan expected =
      reference::plan_of(communicator, placement, routing, {choices.lies, 4}, blocks);
  for (int step = 0; step < 2; ++step) {  // nothing is left over from the step before
    context.reset_workspaces();
    plan.build({communicator, data_plane, context}, routing,
               {.samples = s.scattered ? tensor::RowSource(choices.lies.data(), count, matrix)
                                       : tensor::RowSource(matrix.rows_from(0, count)),
                .multiple = 4,
                .of_ranks = s.ranks_known ? tiles.rows_per_rank() : Span<const index_t>()},
               blocks);
    EXPECT_THAT(plan.outbound().rows, ElementsAreArray(expected.rows_out));
    EXPECT_THAT(plan.outbound().slots, ElementsAreArray(expected.slots_out));
    EXPECT_THAT(plan.inbound().rows, ElementsAreArray(expected.rows_in));
    EXPECT_THAT(plan.inbound().slots, ElementsAreArray(expected.slots_in));
    EXPECT_THAT(plan.expert_rows(), ElementsAreArray(expected.expert_rows));
    EXPECT_THAT(plan.padded_rows(), ElementsAreArray(expected.padded_rows));
    EXPECT_THAT(plan.all_expert_rows(), ElementsAreArray(expected.all_expert_rows));
    EXPECT_EQ(plan.dropped(), expected.dropped);
    EXPECT_THAT(plan.sample(), ElementsAreArray(expected.sample));
    EXPECT_THAT(plan.slot_index(), ElementsAreArray(expected.slot_index));
    EXPECT_THAT(plan.input_index(), ElementsAreArray(expected.input_index));
    EXPECT_THAT(plan.expert_row(), ElementsAreArray(expected.expert_row));
  }
}

void check(const Setting& s) {
  SCOPED_TRACE(testing::Message() << s.ranks << " ranks, batch " << s.batch << ", " << s.slots << " of "
                                  << s.experts << " experts, " << s.replicas << " replicas, "
                                  << s.dropped_in_ten << " tenths dropped");
  comm::run_ranks(s.ranks, [&](comm::Communicator& communicator) { check_rank(s, communicator); });
}

class Plans : public testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(ranks, Plans, testing::Range(1, 5));

TEST_P(Plans, of_chosen_experts) {
  for (const index_t slots : {1, 2, 4}) {
    check({.ranks = GetParam(), .slots = slots});
    check({.ranks = GetParam(), .slots = slots, .scattered = true, .rule = PlacementRule::cyclic});
    check({.ranks = GetParam(), .slots = slots, .dropped_in_ten = 4});
    check({.ranks = GetParam(), .slots = slots, .dropped_in_ten = 10});
    check({.ranks = GetParam(), .slots = slots, .idle = 3});
  }
}

// More slots than a block of either kind of device has.
TEST_P(Plans, of_several_blocks) {
  check({.ranks = GetParam(), .batch = 9000, .experts = 12, .slots = 3});
  check({.ranks = GetParam(), .batch = 9000, .experts = 3, .slots = 3});
}

TEST_P(Plans, of_all_experts) {
  for (const bool known : {true, false}) {
    check({.ranks = GetParam(), .slots = 5, .ranks_known = known});
    check({.ranks = GetParam(), .experts = 2, .slots = 2, .scattered = true, .ranks_known = known});
  }
  check({.ranks = GetParam(), .slots = 5, .dropped_in_ten = 3});
  check({.ranks = GetParam(), .batch = 2, .experts = 3, .slots = 3});  // ranks without samples
}

TEST_P(Plans, of_experts_on_few_of_the_ranks) {
  check({.ranks = GetParam(), .experts = 1, .slots = 1});
  check({.ranks = GetParam(), .experts = 2, .slots = 1, .dropped_in_ten = 2});
}

TEST(Plan, of_copies_of_experts) {
  for (const int replicas : {2, 4}) {
    for (const index_t slots : {1, 2, 5})
      check({.ranks = 4, .slots = slots, .replicas = replicas, .blocks = 7, .scattered = true});
    check({.ranks = 4, .slots = 2, .dropped_in_ten = 4, .replicas = replicas, .blocks = 4});
    check({.ranks = 4, .batch = 9000, .slots = 2, .replicas = replicas, .blocks = 64});
  }
}

}  // namespace
}  // namespace switchyard::moe
