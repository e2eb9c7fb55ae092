#include "data/permutation.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <vector>

#include "base/error.hpp"

namespace switchyard::data {
namespace {

// The order of a run's training samples.
Permutation sampler_of(std::uint64_t seed, index_t samples) { return {samples, seed, RandomUse::sampler}; }

std::vector<index_t> order_of(const Permutation& sampler, index_t epoch) {
  std::vector<index_t> order;
  for (index_t i = 0; i < sampler.size(); ++i) order.push_back(sampler.at(epoch, i));
  return order;
}

// Pearson's statistic of counts that should all be `expected`, in standard deviations from its mean. Under
// uniformity it is about normal, so a bound of 5 fails by chance less than once in a million; the seeds are
// fixed besides.
double deviation(const std::vector<index_t>& counts, double expected) {
  double statistic = 0;
  for (const index_t count : counts) statistic += std::pow(static_cast<double>(count) - expected, 2) / expected;
  const double freedom = static_cast<double>(counts.size()) - 1;
  return (statistic - freedom) / std::sqrt(2 * freedom);
}

class PermutationOfSize : public testing::TestWithParam<index_t> {};

TEST_P(PermutationOfSize, visits_each_sample_once_in_each_epoch) {
  for (const index_t epoch : {0, 1, 2, 1000}) {
    const Permutation sampler = sampler_of(7, GetParam());
    std::vector<int> visits(static_cast<std::size_t>(GetParam()), 0);
    for (const index_t sample : order_of(sampler, epoch)) {
      ASSERT_GE(sample, 0);
      ASSERT_LT(sample, GetParam());
      ++visits[static_cast<std::size_t>(sample)];
    }
    EXPECT_EQ(visits, std::vector<int>(visits.size(), 1)) << "epoch " << epoch;
  }
}

INSTANTIATE_TEST_SUITE_P(Sizes, PermutationOfSize,
                         testing::Values(1, 2, 3, 4, 5, 7, 8, 9, 10, 63, 64, 65, 511, 512, 513, 55000, 60000));

TEST(Permutation, of_every_small_size_is_one) {
  for (index_t n = 1; n <= 300; ++n) {
    const Permutation permutation(n, 99, RandomUse::sampler);
    std::vector<bool> seen(static_cast<std::size_t>(n));
    for (index_t i = 0; i < n; ++i) seen[static_cast<std::size_t>(permutation.at(3, i))] = true;
    EXPECT_EQ(std::count(seen.begin(), seen.end(), true), n);
  }
}

TEST(Permutation, fills_with_what_it_has_at_each_position) {
  for (const index_t size :
       {index_t{1}, index_t{2}, index_t{7}, index_t{50}, index_t{1000}, index_t{1} << 62}) {
    const Permutation order(size, 3, RandomUse::test);
    for (const index_t first : {index_t{0}, size / 2}) {
      for (const index_t count : {0, 1, 7, 8, 9, 400}) {
        std::vector<index_t> filled(static_cast<std::size_t>(std::min(count, size - first)), -1);
        order.fill(5, first, filled);
        for (std::size_t i = 0; i < filled.size(); ++i)
          ASSERT_EQ(filled[i], order.at(5, first + static_cast<index_t>(i))) << size << " from " << first;
      }
    }
  }
  std::vector<index_t> two(2);
  EXPECT_THROW(Permutation(3, 1, RandomUse::test).fill(0, 2, two), ContractViolation);
}

TEST(Permutation, of_a_huge_set_stays_inside_and_is_one_to_one_where_looked_at) {
  const index_t n = (index_t{1} << 62) - 3;
  const Permutation permutation(n, 5, RandomUse::sampler);
  std::map<index_t, index_t> seen;
  for (index_t i = 0; i < 2000; ++i) {
    const index_t element = permutation.at(0, n - 1 - i);
    EXPECT_GE(element, 0);
    EXPECT_LT(element, n);
    EXPECT_TRUE(seen.emplace(element, i).second);
  }
}

TEST(Permutation, refuses_what_is_out_of_range) {
  const Permutation permutation(10, 5, RandomUse::sampler);
  EXPECT_THROW(permutation.at(0, 10), ContractViolation);
  EXPECT_THROW(permutation.at(0, -1), ContractViolation);
  EXPECT_THROW(permutation.at(-1, 0), ContractViolation);
  EXPECT_THROW(permutation.at(index_t{1} << 32, 0), ContractViolation);
  EXPECT_THROW(Permutation(0, 5, RandomUse::sampler).at(0, 0), ContractViolation);
  EXPECT_THROW(Permutation(-1, 5, RandomUse::sampler), ContractViolation);
}

// From a separate implementation of the network in another language. A change of these would silently change
// every run and break resuming from older checkpoints.
TEST(Sampler, known_answers) {
  const Permutation sampler = sampler_of(1, 55000);
  std::vector<index_t> first;
  for (index_t i = 0; i < 4; ++i) first.push_back(sampler.at(0, i));
  EXPECT_EQ(first, (std::vector<index_t>{24620, 49033, 154, 33152}));
  EXPECT_EQ(sampler.at(19, 54999), 28615);
}

TEST(Sampler, orders_differ_between_epochs_seeds_and_uses) {
  const index_t n = 512;
  const auto fixed_points = [](const std::vector<index_t>& a, const std::vector<index_t>& b) {
    index_t same = 0;
    for (std::size_t i = 0; i < a.size(); ++i) same += a[i] == b[i];
    return same;
  };
  const auto base = order_of(sampler_of(1, n), 0);
  std::vector<index_t> identity(static_cast<std::size_t>(n));
  for (index_t i = 0; i < n; ++i) identity[static_cast<std::size_t>(i)] = i;
  std::vector<index_t> split_use;
  for (index_t i = 0; i < n; ++i) split_use.push_back(Permutation(n, 1, RandomUse::split).at(0, i));
  // Two independent permutations agree in one place on average (Poisson): ten is one in ten million.
  EXPECT_LT(fixed_points(base, identity), 10);
  EXPECT_LT(fixed_points(base, order_of(sampler_of(1, n), 1)), 10);
  EXPECT_LT(fixed_points(base, order_of(sampler_of(2, n), 0)), 10);
  EXPECT_LT(fixed_points(base, order_of(sampler_of(std::uint64_t{1} << 32 | 1, n), 0)), 10);
  EXPECT_LT(fixed_points(base, split_use), 10);
}

TEST(Sampler, every_order_of_three_and_of_four_is_equally_likely) {
  for (const index_t n : {3, 4}) {
    const index_t epochs = 24000;
    std::map<std::vector<index_t>, index_t> counts;
    const Permutation sampler = sampler_of(11, n);
    for (index_t epoch = 0; epoch < epochs; ++epoch) ++counts[order_of(sampler, epoch)];
    const std::size_t orders = n == 3 ? 6 : 24;
    ASSERT_EQ(counts.size(), orders);
    std::vector<index_t> values;
    for (const auto& [order, count] : counts) values.push_back(count);
    EXPECT_LT(deviation(values, static_cast<double>(epochs) / static_cast<double>(orders)), 5) << n;
  }
}

// Each sample is equally likely at each place, and so is each pair of samples at two neighbouring places: the
// second is what too few rounds break.
TEST(Sampler, places_and_neighbours_are_uniform) {
  for (const index_t n : {7, 16, 30}) {
    const index_t epochs = 20000;
    const Permutation sampler = sampler_of(3, n);
    const auto cells = static_cast<std::size_t>(n * n);
    std::vector<index_t> place(cells, 0), pair(cells, 0);
    for (index_t epoch = 0; epoch < epochs; ++epoch) {
      const auto order = order_of(sampler, epoch);
      for (std::size_t i = 0; i < order.size(); ++i)
        ++place[i * order.size() + static_cast<std::size_t>(order[i])];
      for (std::size_t i = 0; i + 1 < order.size(); i += 2)
        ++pair[static_cast<std::size_t>(order[i] * n + order[i + 1])];
    }
    EXPECT_LT(std::abs(deviation(place, static_cast<double>(epochs) / static_cast<double>(n))), 5) << n;
    std::vector<index_t> off_diagonal;
    for (std::size_t cell = 0; cell < cells; ++cell)
      if (cell / static_cast<std::size_t>(n) != cell % static_cast<std::size_t>(n))
        off_diagonal.push_back(pair[cell]);
    const double pairs = static_cast<double>(epochs) * std::floor(static_cast<double>(n) / 2);
    EXPECT_LT(deviation(off_diagonal, pairs / static_cast<double>(n * (n - 1))), 5) << n;
  }
}

// Within one epoch of a real size: a batch must draw evenly from all parts of the files, batch after batch.
TEST(Sampler, batches_draw_evenly_from_the_whole_set) {
  const index_t n = 55000, parts = 50, batches = 100;
  const Permutation sampler = sampler_of(1, n);
  std::vector<index_t> counts(static_cast<std::size_t>(parts * batches), 0);
  double serial = 0;
  for (index_t i = 0; i < n; ++i) {
    const index_t sample = sampler.at(4, i);
    ++counts[static_cast<std::size_t>((i * batches / n) * parts + sample * parts / n)];
    const index_t next = sampler.at(4, (i + 1) % n);
    serial += (static_cast<double>(sample) / static_cast<double>(n) - 0.5) *
              (static_cast<double>(next) / static_cast<double>(n) - 0.5);
  }
  EXPECT_LT(deviation(counts, static_cast<double>(n) / static_cast<double>(parts * batches)), 5);
  // The serial correlation of a random order has standard deviation 1/sqrt(n).
  EXPECT_LT(std::abs(serial * 12 / static_cast<double>(n)), 5 / std::sqrt(static_cast<double>(n)));
}

}  // namespace
}  // namespace switchyard::data
