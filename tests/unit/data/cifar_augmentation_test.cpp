// Augmentation, against the padded image in full.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <numeric>
#include <set>
#include <vector>

#include "unit/data/cifar_data.hpp"

namespace switchyard::data {
namespace {

struct Drawn {
  bool flipped = false;
  int top = 0;
  int left = 0;
  auto operator<=>(const Drawn&) const = default;
};

std::vector<float> naive_flip_crop(index_t image, const Drawn& drawn) {
  std::vector<float> result;
  for (std::size_t c = 0; c < 3; ++c) {
    std::vector<std::vector<double>> flipped(32, std::vector<double>(32)), padded(40, std::vector<double>(40));
    for (std::size_t y = 0; y < 32; ++y) {
      for (std::size_t x = 0; x < 32; ++x)
        flipped[y][drawn.flipped ? 31 - x : x] = pixel_of(image, c * 1024 + y * 32 + x) / 255.0;
    }
    // As numpy.pad(mode="reflect"): 4 3 2 1 | 0 1 ... 30 31 | 30 29 28 27.
    std::vector<std::size_t> source;
    for (std::size_t i = 4; i > 0; --i) source.push_back(i);
    for (std::size_t i = 0; i < 32; ++i) source.push_back(i);
    for (std::size_t i = 30; i > 26; --i) source.push_back(i);
    for (std::size_t y = 0; y < 40; ++y) {
      for (std::size_t x = 0; x < 40; ++x) padded[y][x] = flipped[source[y]][source[x]];
    }
    for (std::size_t y = 0; y < 32; ++y) {
      for (std::size_t x = 0; x < 32; ++x)
        result.push_back(static_cast<float>(
            padded[y + static_cast<std::size_t>(drawn.top)][x + static_cast<std::size_t>(drawn.left)]));
    }
  }
  return result;
}

std::map<std::vector<float>, Drawn> all_of(index_t image) {
  std::map<std::vector<float>, Drawn> all;
  for (const bool flipped : {false, true}) {
    for (int top = 0; top <= 8; ++top) {
      for (int left = 0; left <= 8; ++left)
        all.emplace(naive_flip_crop(image, {flipped, top, left}), Drawn{flipped, top, left});
    }
  }
  EXPECT_EQ(all.size(), 162u);
  return all;
}

class CifarAugmentation : public CifarData {
 protected:
  CifarAugmentation() {
    write_cifar100();
    config_.augment = "flip crop:4";
  }
  static std::vector<float> batch(const Dataset& dataset, const std::vector<index_t>& samples,
                                  const std::optional<Visit>& visit) {
    std::vector<float> rows(samples.size() * pixel_count);
    dataset.fill(Split::train, samples, {rows.data(), static_cast<index_t>(samples.size()), pixel_count},
                 visit);
    return rows;
  }
};

INSTANTIATE_TEST_SUITE_P(Files, CifarAugmentation, testing::Values(Encoding::plain),
                         [](const auto&) { return "plain"; });

// 162 outcomes, 100 of each expected: a count has a standard deviation of 10.
TEST_P(CifarAugmentation, draws_every_crop_and_both_flips_alike) {
  const Dataset dataset = load();
  const auto all = all_of(11);
  std::map<Drawn, int> counts;
  for (index_t epoch = 0; epoch < 16200; ++epoch) {
    const auto found = all.find(row_of(dataset, Split::train, 11, Visit{7, epoch}));
    ASSERT_NE(found, all.end()) << "no flip and crop of the image, epoch " << epoch;
    ++counts[found->second];
  }
  EXPECT_EQ(counts.size(), 162u);
  double chi_squared = 0;
  for (const auto& [drawn, count] : counts) {
    EXPECT_NEAR(count, 100, 50) << drawn.flipped << ' ' << drawn.top << ' ' << drawn.left;
    chi_squared += (count - 100.0) * (count - 100.0) / 100;
  }
  EXPECT_LT(chi_squared, 161 + 5 * 18);  // mean 161, standard deviation sqrt(2 * 161)
}

// Other samples, epochs and seeds draw for themselves: of 40, few agree with those of another by chance.
TEST_P(CifarAugmentation, depends_on_seed_epoch_and_sample) {
  const Dataset dataset = load();
  std::vector<std::vector<Drawn>> drawn;
  for (const Visit visit : {Visit{1, 0}, Visit{1, 1}, Visit{2, 0}, Visit{std::uint64_t{1} << 32 | 1, 0}}) {
    drawn.emplace_back();
    for (index_t sample = 0; sample < 40; ++sample) {
      const auto all = all_of(sample);
      const auto found = all.find(row_of(dataset, Split::train, sample, visit));
      ASSERT_NE(found, all.end());
      drawn.back().push_back(found->second);
    }
    EXPECT_GT(std::set<Drawn>(drawn.back().begin(), drawn.back().end()).size(), 25u);
  }
  for (std::size_t a = 0; a < drawn.size(); ++a) {
    for (std::size_t b = 0; b < a; ++b) {
      int same = 0;
      for (std::size_t i = 0; i < 40; ++i) same += drawn[a][i] == drawn[b][i];
      EXPECT_LT(same, 6) << a << ' ' << b;
    }
  }
}

TEST_P(CifarAugmentation, does_not_depend_on_the_batch) {
  const Dataset dataset = load();
  std::vector<index_t> samples(40);
  std::iota(samples.begin(), samples.end(), index_t{0});
  const Visit visit{3, 5};
  const std::vector<float> together = batch(dataset, samples, visit);
  std::ranges::reverse(samples);
  const std::vector<float> reversed = batch(load(), samples, visit);
  for (std::size_t i = 0; i < 40; ++i) {
    const std::vector<float> alone = row_of(dataset, Split::train, static_cast<index_t>(i), visit);
    EXPECT_TRUE(std::ranges::equal(alone, std::span(together).subspan(i * pixel_count, pixel_count)));
    EXPECT_TRUE(std::ranges::equal(alone, std::span(reversed).subspan((39 - i) * pixel_count, pixel_count)));
  }
}

TEST_P(CifarAugmentation, leaves_evaluation_and_labels_alone) {
  const Dataset dataset = load();
  config_.augment = "none";
  const Dataset plain = load();
  const std::vector<index_t> samples = {3, 39, 0};
  EXPECT_EQ(batch(dataset, samples, {}), batch(plain, samples, {}));
  EXPECT_EQ(batch(plain, samples, Visit{1, 0}), batch(plain, samples, {}));
  EXPECT_NE(batch(dataset, samples, Visit{1, 0}), batch(plain, samples, {}));
  EXPECT_EQ(row_of(dataset, Split::test, 2), row_of(plain, Split::test, 2));
  EXPECT_EQ(labels_of(dataset, Split::train), labels_of(plain, Split::train));
  EXPECT_THROW(row_of(dataset, Split::test, 2, Visit{1, 0}), ContractViolation);
}

TEST_P(CifarAugmentation, happens_before_each_number_is_scaled_by_its_place) {
  config_.normalise = data::Normalise::given;
  const std::vector<float> plain = row_of(load(), Split::train, 4, Visit{1, 0});
  for (std::size_t i = 0; i < pixel_count; ++i) config_.mean.push_back(static_cast<double>(i));
  config_.mean.erase(config_.mean.begin());
  const std::vector<float> row = row_of(load(), Split::train, 4, Visit{1, 0});
  for (std::size_t i = 0; i < pixel_count; ++i)
    ASSERT_NEAR(row[i], plain[i] - static_cast<double>(i), 1e-3) << i;
}

TEST_P(CifarAugmentation, is_normalised_by_channel) {
  const std::vector<float> plain = row_of(load(), Split::train, 4, Visit{1, 0});
  config_.mean = {0.5, 0.25, 0};
  config_.standard_deviation = {0.5, 2, 1};
  const std::vector<float> row = row_of(load(), Split::train, 4, Visit{1, 0});
  for (std::size_t i = 0; i < pixel_count; ++i) {
    const std::size_t c = i / 1024;
    ASSERT_NEAR(row[i], (plain[i] - config_.mean[c]) / config_.standard_deviation[c], 1e-6) << i;
  }
}

}  // namespace
}  // namespace switchyard::data
