// The plan and the exchange against what they promise, for random routings on 1 to 7 ranks.
#include "moe/exchange.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "base/philox.hpp"
#include "comm/host_data_plane.hpp"
#include "comm/threads/thread_group.hpp"
#include "nn/batch_tiles.hpp"

namespace switchyard::moe {
namespace {

struct Setting {
  int ranks;
  index_t batch;
  index_t shards;
  index_t experts;
  index_t slots;
  bool one_expert_takes_all = false;
  index_t hidden = 0;  // width of what experts return besides their outputs
  int replicas = 1;
  index_t blocks = 0;  // of an expert's rows, for replicas
  std::uint32_t dropped_in_ten = 0;

  nn::RowBlocks row_blocks() const { return {blocks, replicas, 4}; }
};

constexpr index_t features = 6;
constexpr index_t outputs = 3;

// The experts of a sample: different ones, a pure function of the sample.
std::vector<std::int32_t> experts_of(const Setting& s, index_t sample) {
  std::vector<std::int32_t> all(static_cast<std::size_t>(s.experts));
  for (std::size_t e = 0; e < all.size(); ++e) all[e] = static_cast<std::int32_t>(e);
  if (s.one_expert_takes_all || s.slots == s.experts) return {all.begin(), all.begin() + s.slots};
  for (std::size_t i = 0; i < all.size(); ++i) {
    const auto draw =
        Philox::at(3, RandomUse::test, static_cast<std::uint64_t>(sample), static_cast<std::uint32_t>(i))
            .word[0];
    std::swap(all[i], all[i + draw % (all.size() - i)]);
  }
  return {all.begin(), all.begin() + s.slots};
}

bool is_dropped(const Setting& s, index_t sample, std::int32_t expert) {
  const std::uint32_t draw =
      Philox::at(4, RandomUse::test, static_cast<std::uint64_t>(sample), static_cast<std::uint32_t>(expert))
          .word[0];
  return draw % 10 < s.dropped_in_ten;
}

// Which copy of the expert gets a sample: of the expert's rows in global order, four make a tile, and tiles b T
// / N to (b + 1) T / N a block b of N, of which copy c of R has those from c N / R to (c + 1) N / R.
int copy_of(const Setting& s, std::int32_t expert, index_t sample) {
  if (s.replicas == 1) return 0;
  index_t row = 0, rows = 0;
  for (index_t other = 0; other < s.batch; ++other) {
    for (const std::int32_t e : experts_of(s, other)) {
      if (e != expert || is_dropped(s, other, e)) continue;
      row += other < sample ? 1 : 0;
      ++rows;
    }
  }
  const index_t tiles = (rows + 3) / 4;
  int copy = 0;
  for (index_t block = 0; block < s.blocks; ++block) {
    while ((copy + 1) * s.blocks / s.replicas <= block) ++copy;
    if (row / 4 < (block + 1) * tiles / s.blocks) return copy;
  }
  ADD_FAILURE() << "row " << row << " of " << rows << " is in no block";
  return 0;
}

float feature(index_t sample, index_t i) { return static_cast<float>(sample * 100 + i); }
// What expert e makes of a sample; and the gradient that comes back for it.
float output(index_t e, index_t sample, index_t c) { return static_cast<float>(e * 10000 + sample * 10 + c); }
float gradient(index_t e, index_t sample, index_t c) { return -output(e, sample, c) - 0.5F; }
// The hidden vector counts its columns on.
index_t first_column(std::size_t part) { return part == Returned::output ? 0 : outputs; }

// Everything of one rank. gtest's failures may come from any thread.
void check_rank(const Setting& s, comm::Communicator& communicator) {
  const Placement placement = Placement::make(moe::PlacementRule::block, s.experts, s.ranks, s.replicas);
  const auto owner_of = [&](std::int32_t expert, index_t sample) {
    return placement.owner(ExpertId(expert), copy_of(s, expert, sample));
  };
  comm::HostDataPlane data_plane(communicator);
  nn::BatchTiles tiles;
  tiles.set_sharded(data_plane, s.batch, s.shards);
  device::Context context(1);
  const index_t rows = tiles.local_rows();
  std::vector<float> samples(static_cast<std::size_t>(rows * features));
  std::vector<std::int32_t> experts;
  std::vector<std::uint8_t> dropped;
  for (index_t n = 0; n < rows; ++n) {
    for (index_t i = 0; i < features; ++i)
      samples[static_cast<std::size_t>(n * features + i)] = feature(tiles.first_row() + n, i);
    for (const std::int32_t e : experts_of(s, tiles.first_row() + n)) {
      experts.push_back(e);
      dropped.push_back(is_dropped(s, tiles.first_row() + n, e) ? 1 : 0);
    }
  }
  Routing routing;
  routing.experts = experts;
  if (s.dropped_in_ten > 0) routing.dropped = dropped;
  routing.samples = rows;
  routing.slots = s.slots;

  routing.is_dense = s.slots == s.experts;
  const tensor::ConstMatrix where(samples.data(), rows, features);
  DispatchPlan plan(placement, communicator.rank(), context.memory());
  plan.build({communicator, data_plane, context}, routing,
             {.samples = where, .multiple = 4, .of_ranks = tiles.rows_per_rank()}, s.row_blocks());
  std::set<std::pair<index_t, index_t>> crossings;  // (sample, rank): each travels once
  for (std::size_t i = 0; i < experts.size(); ++i) {
    const index_t n = static_cast<index_t>(i) / s.slots;
    if (dropped[i] != 0) continue;
    const GroupRank owner = owner_of(experts[i], tiles.first_row() + n);
    if (owner != communicator.rank()) crossings.insert({n, owner.index()});
  }
  EXPECT_EQ(plan.sent_rows(), static_cast<index_t>(crossings.size()));

  const PartWidths widths{outputs, s.hidden};
  Exchange exchange({communicator, data_plane, context}, widths);
  exchange.dispatch(context, plan, where);
  const auto hosted = placement.hosted_by(communicator.rank());
  std::vector<std::vector<index_t>> expected_rows(
      hosted.size());  // samples of each local expert in global order
  for (index_t sample = 0; sample < s.batch; ++sample) {
    for (const std::int32_t e : experts_of(s, sample)) {
      if (!is_dropped(s, sample, e) && owner_of(e, sample) == communicator.rank()) {
        expected_rows[static_cast<std::size_t>(placement.local(ExpertId(e)).value)].push_back(sample);
      }
    }
  }
  // What all local experts return, expert after expert, and room for the gradients; both parts.
  std::vector<index_t> first_row = {0};
  for (const auto& of_expert : expected_rows)
    first_row.push_back(first_row.back() + round_up(std::ssize(of_expert), 4));
  EXPECT_EQ(exchange.input().rows, first_row.back());
  std::vector<std::vector<float>> memory;
  memory.reserve(4);
  ExpertParts results, d_results;
  for (const auto part : {Returned::output, Returned::hidden}) {
    for (ExpertParts* const parts : {&results, &d_results}) {
      memory.emplace_back(static_cast<std::size_t>(first_row.back() * widths[part]), 7.0F);
      (*parts)[part] = {memory.back().data(), first_row.back(), widths[part]};
    }
  }
  for (std::size_t e = 0; e < hosted.size(); ++e) {
    index_t all = 0;
    for (index_t sample = 0; sample < s.batch; ++sample) {
      for (const std::int32_t expert : experts_of(s, sample))
        all += expert == hosted[e].value && !is_dropped(s, sample, expert) ? 1 : 0;
    }
    EXPECT_EQ(plan.all_expert_rows()[e], all);
    const auto count = static_cast<index_t>(expected_rows[e].size());
    EXPECT_EQ(plan.expert_rows()[e], count);
    EXPECT_EQ(plan.padded_rows()[e], round_up(count, 4));
    const tensor::RowSource input = exchange.input().rows_from(first_row[e], round_up(count, 4));
    for (const auto part : {Returned::output, Returned::hidden}) {
      for (index_t r = 0; r < count; ++r) {
        for (index_t c = 0; c < widths[part]; ++c) {
          results[part](first_row[e] + r, c) =
              output(hosted[e].index(), expected_rows[e][static_cast<std::size_t>(r)], first_column(part) + c);
        }
      }
    }
    for (index_t r = 0; r < input.rows; ++r) {
      for (index_t i = 0; i < features; ++i) {
        EXPECT_EQ(input.row(r)[i],
                  r < count ? feature(expected_rows[e][static_cast<std::size_t>(r)], i) : 0.0F);
      }
    }
  }

  const auto slots = exchange.combine(context, plan, results);
  const auto d_slots = exchange.gradient_rows(context, plan, d_results);
  for (const auto part : {Returned::output, Returned::hidden}) {
    ASSERT_EQ(slots[part].cols, widths[part]);
    if (widths[part] > 0) {
      ASSERT_EQ(slots[part].rows, std::ssize(experts));
    }
    for (index_t i = 0; i < slots[part].rows; ++i) {
      const index_t sample = tiles.first_row() + i / s.slots;
      for (index_t c = 0; c < widths[part]; ++c) {
        EXPECT_EQ(slots[part].row(i)[c],
                  routing.is_dropped(i) ? 0.0F : output(experts[as_size(i)], sample, first_column(part) + c));
        d_slots[part].row(i)[c] = gradient(experts[as_size(i)], sample, first_column(part) + c);
      }
    }
  }
  exchange.begin_combine_backward(context, plan);
  exchange.combine_backward(context, plan, d_results);
  for (std::size_t e = 0; e < hosted.size(); ++e) {
    const auto count = static_cast<index_t>(expected_rows[e].size());
    for (const auto part : {Returned::output, Returned::hidden}) {
      for (index_t r = 0; r < plan.padded_rows()[e]; ++r) {
        for (index_t c = 0; c < widths[part]; ++c) {
          EXPECT_EQ(d_results[part](first_row[e] + r, c),
                    r < count ? gradient(hosted[e].index(), expected_rows[e][static_cast<std::size_t>(r)],
                                         first_column(part) + c)
                              : 0.0F);
        }
      }
    }
  }
}

void check(const Setting& setting) {
  SCOPED_TRACE(testing::Message() << setting.ranks << " ranks, batch " << setting.batch << ", "
                                  << setting.experts << " experts, top-" << setting.slots);
  comm::run_ranks(setting.ranks, [&](comm::Communicator& communicator) { check_rank(setting, communicator); });
}

TEST(Exchange, brings_every_row_to_its_expert_in_global_order_and_back) {
  for (const int ranks : {1, 2, 3, 4, 7}) {
    check({ranks, 53, 8, 5, 1});
    check({ranks, 53, 8, 5, 2});
    check({ranks, 53, 8, 5, 5});  // dense
  }
}

TEST(Exchange, brings_hidden_vectors_back_beside_the_outputs) {
  for (const int ranks : {1, 2, 3, 7}) {
    check({.ranks = ranks, .batch = 53, .shards = 8, .experts = 5, .slots = 5, .hidden = 4});
    check({.ranks = ranks, .batch = 53, .shards = 8, .experts = 5, .slots = 2, .hidden = 1});
  }
}

TEST(Exchange, sends_no_slot_that_is_dropped_and_finds_zeros_there) {
  for (const int ranks : {1, 2, 3, 7}) {
    for (const std::uint32_t dropped : {3U, 10U})
      check({.ranks = ranks,
             .batch = 53,
             .shards = 8,
             .experts = 5,
             .slots = 2,
             .hidden = 4,
             .dropped_in_ten = dropped});
  }
  for (const std::uint32_t dropped : {3U, 10U}) {
    check({.ranks = 6,
           .batch = 53,
           .shards = 8,
           .experts = 5,
           .slots = 2,
           .replicas = 3,
           .blocks = 4,
           .dropped_in_ten = dropped});
  }
}

TEST(Exchange, works_where_ranks_hold_no_samples_or_no_experts) {
  check({7, 3, 2, 9, 2});   // two shards on seven ranks, three samples
  check({7, 40, 8, 2, 1});  // two experts on seven ranks
  check({3, 1, 8, 4, 4});
}

TEST(Exchange, works_where_one_expert_takes_all) {
  for (const int ranks : {1, 2, 3}) check({ranks, 64, 8, 4, 1, true, 0});
}

TEST(Exchange, gives_each_copy_of_an_expert_a_run_of_its_rows) {
  struct Layout {
    int ranks, replicas;
    index_t blocks;
  };
  for (const auto& [ranks, replicas, blocks] :
       {Layout{2, 2, 2}, {3, 3, 4}, {4, 2, 5}, {6, 2, 64}, {6, 3, 3}, {6, 6, 7}}) {
    for (const index_t slots : {1, 2, 5})
      check({.ranks = ranks,
             .batch = 53,
             .shards = 8,
             .experts = 5,
             .slots = slots,
             .replicas = replicas,
             .blocks = blocks});
    check({.ranks = ranks,
           .batch = 3,
           .shards = 2,
           .experts = 9,
           .slots = 2,
           .hidden = 2,
           .replicas = replicas,
           .blocks = blocks});
    check({.ranks = ranks,
           .batch = 64,
           .shards = 8,
           .experts = 4,
           .slots = 1,
           .one_expert_takes_all = true,
           .replicas = replicas,
           .blocks = blocks});
  }
}

TEST(Placement, has_all_experts_in_each_part_of_the_ranks) {
  for (const auto rule : {moe::PlacementRule::block, moe::PlacementRule::cyclic}) {
    const Placement once = Placement::make(rule, 5, 3);
    const Placement twice = Placement::make(rule, 5, 6, 2);
    for (int rank = 0; rank < 6; ++rank) {
      EXPECT_EQ(twice.replica_of(GroupRank(rank)), rank / 3);
      EXPECT_TRUE(std::ranges::equal(twice.hosted_by(GroupRank(rank)), once.hosted_by(GroupRank(rank % 3))));
    }
    for (const ExpertId id : {ExpertId(0), ExpertId(4)}) {
      EXPECT_EQ(twice.local(id), once.local(id));
      EXPECT_EQ(twice.owner(id, 1).value, once.owner(id).value + 3);
    }
  }
  for (const int replicas : {-1, 0, 4, 12})
    EXPECT_THROW(Placement::make(moe::PlacementRule::block, 5, 6, replicas), ConfigError) << replicas;
}

TEST(Placement, block_and_cyclic_cover_every_expert_once) {
  for (const auto rule : {moe::PlacementRule::block, moe::PlacementRule::cyclic}) {
    for (const int ranks : {1, 2, 3, 7}) {
      const Placement placement = Placement::make(rule, 5, ranks);
      std::set<int> seen;
      for (int rank = 0; rank < ranks; ++rank) {
        int local = 0;
        for (const ExpertId id : placement.hosted_by(GroupRank(rank))) {
          EXPECT_EQ(placement.owner(id), GroupRank(rank));
          EXPECT_EQ(placement.local(id), LocalExpert(local++));
          EXPECT_TRUE(seen.insert(id.value).second);
        }
      }
      EXPECT_EQ(seen.size(), 5U);
    }
  }
}

}  // namespace
}  // namespace switchyard::moe
