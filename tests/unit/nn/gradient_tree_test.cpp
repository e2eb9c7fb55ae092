// A gradient that ranks add up together has the bits of all partial sums added in one place.
#include "nn/gradient_tree.hpp"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <mutex>
#include <numeric>
#include <ostream>

#include "base/philox.hpp"
#include "comm/host_data_plane.hpp"
#include "comm/threads/thread_group.hpp"
#include "ops/reduce.hpp"

namespace switchyard::nn {
namespace {

struct Problem {
  index_t shards = 8;
  int ranks = 2;
  int threads = 1;
  std::vector<index_t> parameters = {100};  // elements
  index_t calls = 1;                        // of sum_shards, each with columns of its own

  index_t width() const { return std::reduce(parameters.begin(), parameters.end()); }
};

void PrintTo(const Problem& p, std::ostream* out) {
  *out << p.shards << " shards on " << p.ranks << " ranks x " << p.threads << " threads, " << p.width()
       << " elements of " << p.parameters.size() << " parameters in " << p.calls << " calls";
}

// Of sizes from 1e-4 to 1e4, so that the order of a sum shows in its bits; some are zero.
float partial_of(index_t shard, index_t element) {
  const Philox random =
      Philox::at(3, RandomUse::test, static_cast<std::uint64_t>(element), static_cast<std::uint32_t>(shard));
  if (random.uniform(0) < 0.1F) return random.uniform(1) < 0.5F ? 0.0F : -0.0F;
  return (random.uniform(1) - 0.5F) * std::pow(10.0F, 8.0F * random.uniform(2) - 4.0F);
}

std::vector<float> partials_of(const Problem& p) {
  std::vector<float> partials;
  for (index_t shard = 0; shard < p.shards; ++shard)
    for (index_t i = 0; i < p.width(); ++i) partials.push_back(partial_of(shard, i));
  return partials;
}

std::vector<std::uint32_t> bits_of(Span<const float> values) {
  std::vector<std::uint32_t> bits;
  for (const float value : values) bits.push_back(std::bit_cast<std::uint32_t>(value));
  return bits;
}

// One rank: its copy of the parameters, and the tree.
class Rank {
 public:
  Rank(comm::Communicator& communicator, const Problem& p)
      : problem_(p),
        context_(p.threads),
        data_plane_(communicator),
        values_(as_size(p.width())),
        tree_(&data_plane_, parameters(), device::MemoryKind::host) {
    tiles_.set_sharded(data_plane_, 3 * p.shards, p.shards);
    batch_.tiles = &tiles_;
    first_shard_ = partition_begin(p.shards, communicator.size(), communicator.rank().value);
  }

  void reduce(const std::vector<float>& partials) {
    context_.workspace().reset();
    tree_.begin(pass_);
    const index_t width = problem_.width();
    for (index_t call = problem_.calls; call-- > 0;) {  // as backward: the last columns first
      const IndexRange columns = partition(width, problem_.calls, call);
      tree_.sum_shards(context_, columns, [&](IndexRange tiles, TilePartials rows) {
        for (index_t tile = tiles.begin; tile < tiles.end; ++tile) {
          const float* const from = partials.data() + (first_shard_ + tile) * width;
          std::copy(from + columns.begin, from + columns.end, rows.of(tile - tiles.begin) + columns.begin);
        }
      });
    }
    tree_.reduce(pass_);
  }
  // Makes every gradient its parameter's value.
  void update() {
    for (const ParameterSlice& slice : tree_.slices()) std::copy_n(slice.gradient, slice.count, slice.value);
    tree_.gather_updated_values(context_);
  }
  Span<ParameterSlice> slices() { return tree_.slices(); }
  const std::vector<float>& values() const { return values_; }
  device::Context& context() { return context_; }
  std::size_t peak_bytes() { return context_.workspace().peak_bytes(); }

 private:
  std::vector<ParameterSlice> parameters() {
    std::vector<ParameterSlice> all;
    float* value = values_.data();
    for (const index_t count : problem_.parameters) {
      all.push_back({.name = "parameter",
                     .shape = {count},
                     .value = value,
                     .count = count,
                     .norm_entry = std::ssize(all)});
      value += count;
    }
    return all;
  }

  Problem problem_;
  device::Context context_;
  comm::HostDataPlane data_plane_;
  BatchTiles tiles_;
  Batch batch_;
  PhaseClock clock_;
  Pass pass_{context_, batch_, Mode::training, clock_};
  std::vector<float> values_;
  GradientTree tree_;
  index_t first_shard_ = 0;
};

void expect_sum_of_partials(const Problem& p) {
  const std::vector<float> partials = partials_of(p);
  std::vector<float> expected(as_size(p.width()));
  device::Context context(1);
  ops::sum_partials(context, {partials.data(), p.shards, p.width()}, expected);
  comm::run_ranks(p.ranks, [&](comm::Communicator& communicator) {
    Rank rank(communicator, p);
    for (int step = 0; step < 2; ++step) {
      rank.reduce(partials);
      rank.update();
      // What no rank or the wrong one updates is another value here.
      EXPECT_EQ(bits_of(rank.values()), bits_of(expected)) << testing::PrintToString(p);
    }
  });
}

TEST(GradientTree, has_the_bits_of_all_partial_sums_added_in_one_place) {
  for (const index_t shards : {1, 2, 3, 7, 8, 13})
    for (const int ranks : {1, 2, 3, 4, 5, 6, 7, 8})
      for (const int threads : {1, 2, 3}) expect_sum_of_partials({shards, ranks, threads, {40, 7}, 2});
  for (int i = 0; i < 150; ++i) {
    auto draw = [i, n = std::uint64_t{0}](index_t from, index_t to) mutable {
      return from + static_cast<index_t>(
                        Philox::at(11, RandomUse::test, n++, static_cast<std::uint32_t>(i)).uniform64(0) *
                        static_cast<double>(to - from + 1));
    };
    Problem p{draw(1, 64), static_cast<int>(draw(1, 12)), static_cast<int>(draw(1, 4)), {}, draw(1, 4)};
    for (index_t left = draw(1, 4); left > 0; --left)
      p.parameters.push_back(draw(1, i % 10 == 0 ? 12'000 : 300));
    expect_sum_of_partials(p);
  }
}

TEST(GradientTree, of_no_parameters_says_nothing) {
  comm::run_ranks(3, [&](comm::Communicator& communicator) {
    Rank rank(communicator, {8, 3, 1, {}, 1});
    rank.reduce({});
    rank.update();
    EXPECT_TRUE(rank.slices().empty());
  });
}

// Equal parts, but for the ends of pieces; and squares of pieces from all ranks are those of one rank.
TEST(GradientTree, is_cut_where_pieces_of_a_squared_norm_end) {
  const Problem p{8, 1, 1, {33 * 700, 5, 8192, 90'000, 0, 3, 8193}, 1};
  const std::vector<float> partials = partials_of(p);
  std::vector<double> expected;
  for (const int ranks : {1, 2, 3, 5, 8, 40}) {
    NormTable norms;
    for (std::size_t i = 0; i < p.parameters.size(); ++i)
      norms.add_entry(static_cast<index_t>(i), (p.parameters[i] + ops::squared_piece - 1) / ops::squared_piece);
    Vector<double> squares(norms.squares(), -1.0);
    comm::run_ranks(ranks, [&](comm::Communicator& communicator) {
      Rank rank(communicator, p);
      rank.reduce(partials);
      index_t count = 0;
      for (const ParameterSlice& slice : rank.slices()) {
        count += slice.count;
        index_t place = norms.square_begin[slice.norm_entry] + slice.first_element / ops::squared_piece;
        EXPECT_EQ(slice.first_element % ops::squared_piece, 0);
        for (const double square : ops::squared_sums(rank.context(), {slice.gradient, slice.count}))
          squares[place++] = square;
      }
      EXPECT_NEAR(static_cast<double>(count), static_cast<double>(p.width()) / ranks,
                  static_cast<double>(ops::squared_piece));
    });
    std::vector<double> sums;
    for (index_t entry = 0; entry < std::ssize(p.parameters); ++entry) {
      const index_t begin = norms.square_begin[entry];
      sums.push_back(
          ops::sum_tree(Span<const double>(squares).subspan(begin, norms.square_begin[entry + 1] - begin)));
    }
    if (ranks == 1) {
      std::vector<float> whole(as_size(p.width()));
      device::Context context(1);
      ops::sum_partials(context, {partials.data(), p.shards, p.width()}, whole);
      index_t begin = 0;
      for (const index_t count : p.parameters) {
        expected.push_back(ops::squared_sum(context, Span<const float>(whole).subspan(begin, count)));
        begin += count;
      }
    }
    EXPECT_EQ(sums, expected) << ranks << " ranks";
  }
}

// log2(shards) + 2 rows of parameters, and one in which several ranks gather what they updated.
TEST(GradientTree, holds_few_partial_sums_at_a_time) {
  const auto rows_at_peak = [](const Problem& p) {
    const std::vector<float> partials = partials_of(p);
    std::size_t most = 0;
    std::mutex mutex;
    comm::run_ranks(p.ranks, [&](comm::Communicator& communicator) {
      Rank rank(communicator, p);
      rank.reduce(partials);
      rank.update();
      const std::lock_guard lock(mutex);
      most = std::max(most, rank.peak_bytes());
    });
    return static_cast<double>(most) / (static_cast<double>(p.width()) * sizeof(float));
  };
  for (const int threads : {1, 2}) {
    for (const int ranks : {1, 2, 3, 4, 5, 6, 7, 8, 11})
      EXPECT_LE(rows_at_peak({8, ranks, threads, {50'000}, 1}), ranks == 1 ? 5.0 : 6.0)
          << ranks << " ranks x " << threads << " threads";
  }
  for (const int ranks : {1, 2, 4, 8})
    EXPECT_LE(rows_at_peak({64, ranks, 1, {20'000}, 1}), ranks == 1 ? 8.0 : 9.0) << ranks << " ranks";
}

}  // namespace
}  // namespace switchyard::nn
