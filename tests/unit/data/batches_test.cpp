#include "data/batches.hpp"

#include <gtest/gtest.h>

#include <vector>

#include "base/error.hpp"

namespace switchyard::data {
namespace {

static_assert(partition_begin(10, 4, 0) == 0 && partition_begin(10, 4, 1) == 2 &&
              partition_begin(10, 4, 2) == 5 && partition_begin(10, 4, 3) == 7 &&
              partition_begin(10, 4, 4) == 10);

// floor(part * total / parts) in a type that cannot overflow.
TEST(Partition, equals_the_floor_of_the_exact_quotient) {
  const index_t totals[] = {0, 1, 2, 7, 63, 64, 512, 55000, (index_t{1} << 40) + 12345, (index_t{1} << 61) + 7};
  for (const index_t total : totals) {
    for (const index_t parts : {1, 2, 3, 7, 8, 16, 1000}) {
      for (index_t part = 0; part <= parts; ++part) {
        __extension__ using Wide = __int128;
        const auto exact = static_cast<index_t>(static_cast<Wide>(part) * total / parts);
        ASSERT_EQ(partition_begin(total, parts, part), exact) << total << " in " << parts;
      }
    }
  }
}

TEST(Partition, parts_are_contiguous_and_differ_by_at_most_one) {
  for (const index_t total : {0, 1, 3, 8, 100, 511}) {
    for (const index_t parts : {1, 2, 3, 8, 13}) {
      index_t next = 0;
      for (index_t part = 0; part < parts; ++part) {
        const IndexRange range = partition(total, parts, part);
        EXPECT_EQ(range.begin, next);
        EXPECT_GE(range.size(), total / parts);
        EXPECT_LE(range.size(), (total + parts - 1) / parts);
        next = range.end;
      }
      EXPECT_EQ(next, total);
    }
  }
}

TEST(Batching, counts_the_short_last_batch) {
  EXPECT_EQ((Batching{1, 512}.batches_per_epoch()), 1);
  EXPECT_EQ((Batching{512, 512}.batches_per_epoch()), 1);
  EXPECT_EQ((Batching{513, 512}.batches_per_epoch()), 2);
  const Batching fashion{55000, 512};
  EXPECT_EQ(fashion.batches_per_epoch(), 108);
  EXPECT_EQ(fashion.steps(3), 324);
  EXPECT_EQ(fashion.places_of(0), (IndexRange{0, 512}));
  EXPECT_EQ(fashion.places_of(107), (IndexRange{107 * 512, 55000}));
  EXPECT_THROW(fashion.places_of(108), ContractViolation);
  EXPECT_THROW(fashion.places_of(-1), ContractViolation);
  EXPECT_THROW((Batching{0, 512}.batches_per_epoch()), ContractViolation);
}

TEST(Batching, positions_of_steps_follow_each_other) {
  const Batching batching{10, 4};  // 4, 4, 2
  EXPECT_EQ(batching.position_of(0), (Position{0, 0}));
  EXPECT_EQ(batching.position_of(2), (Position{0, 2}));
  EXPECT_EQ(batching.position_of(3), (Position{1, 0}));
  Position position;
  for (index_t step = 0; step < 20; ++step) {
    EXPECT_EQ(batching.position_of(step), position);
    EXPECT_EQ(batching.ends_epoch(step), position.batch == 0);
    EXPECT_EQ(batching.epoch_number(step + 1), position.epoch + 1);
    position =
        position.batch == 2 ? Position{position.epoch + 1, 0} : Position{position.epoch, position.batch + 1};
  }
  EXPECT_THROW(batching.position_of(-1), ContractViolation);
}

// Shard bounds depend on the batch and the shard count alone, so every layout works on the same shards.
TEST(Shards, cover_any_batch_on_any_rank_count) {
  for (const index_t batch : {0, 1, 3, 8, 100, 511, 512}) {
    for (const index_t shards : {1, 3, 8, 64}) {
      for (const index_t ranks : {1, 2, 3, 8, 100}) {
        index_t next_shard = 0;
        index_t next_sample = 0;
        const SharedParts shared{batch, shards, ranks};
        for (index_t rank = 0; rank < ranks; ++rank) {
          const IndexRange run = shared.parts_of(rank);
          const IndexRange mine = shared.range_of(rank);
          EXPECT_EQ(run.begin, next_shard);
          EXPECT_EQ(mine.begin, next_sample);
          EXPECT_TRUE(!run.empty() || mine.empty());
          index_t next_in_run = mine.begin;
          for (index_t s = run.begin; s < run.end; ++s) {
            EXPECT_EQ(partition(batch, shards, s), (IndexRange{s * batch / shards, (s + 1) * batch / shards}));
            EXPECT_EQ(partition(batch, shards, s).begin, next_in_run);
            next_in_run = partition(batch, shards, s).end;
          }
          EXPECT_EQ(next_in_run, mine.end);
          next_shard = run.end;
          next_sample = mine.end;
        }
        EXPECT_EQ(next_shard, shards);
        EXPECT_EQ(next_sample, batch);
      }
    }
  }
}

TEST(Shards, known_answers) {
  const SharedParts eight{512, 8, 3};
  EXPECT_EQ(eight.parts_of(0), (IndexRange{0, 2}));
  EXPECT_EQ(eight.parts_of(1), (IndexRange{2, 5}));
  EXPECT_EQ(eight.parts_of(2), (IndexRange{5, 8}));
  EXPECT_EQ(eight.range_of(1), (IndexRange{128, 320}));
  EXPECT_TRUE((SharedParts{3, 2, 3}.parts_of(0).empty()));
  EXPECT_EQ((SharedParts{3, 2, 3}.parts_of(1)), (IndexRange{0, 1}));
  EXPECT_TRUE((SharedParts{3, 8, 8}.range_of(0).empty()));
  EXPECT_EQ((SharedParts{3, 8, 8}.range_of(2)), (IndexRange{0, 1}));
}

}  // namespace
}  // namespace switchyard::data
