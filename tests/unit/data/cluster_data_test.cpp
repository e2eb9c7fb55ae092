// The clustered patches of Chen et al. 2022 (Definition 3.1), taken apart again into what they were made of.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <set>
#include <stdexcept>
#include <vector>

#include "base/error.hpp"
#include "data/dataset.hpp"
#include "data/options.hpp"

namespace switchyard::data {
namespace {

using Vector = std::vector<double>;

// Ranges that do not overlap, so that a patch's length says what it is.
data::Options cluster_config() {
  data::Options config;
  config.source = data::Source::clusters;
  config.seed = 3;
  config.clusters.count = 4;
  config.clusters.patches = 5;
  config.clusters.patch_size = 20;
  config.clusters.samples = 4000;
  config.clusters.signal_min = 0.5;
  config.clusters.signal_max = 0.7;
  config.clusters.center_min = 1;
  config.clusters.center_max = 1.5;
  config.clusters.noise_min = 2;
  config.clusters.noise_max = 3;
  config.clusters.patch_noise = 0;
  config.clusters.scale = 10;
  return config;
}

struct Sample {
  std::vector<Vector> patches;
  std::int32_t label = 0;
  std::int32_t group = 0;
};

std::vector<Sample> all_samples(const Dataset& dataset, Split split) {
  const index_t count = dataset.size(split);
  const index_t features = dataset.shape().features();
  std::vector<index_t> ids(static_cast<std::size_t>(count));
  std::iota(ids.begin(), ids.end(), index_t{0});
  std::vector<float> values(static_cast<std::size_t>(count * features));
  std::vector<std::int32_t> labels(ids.size()), groups(ids.size());
  dataset.fill(split, ids, {values.data(), count, features});
  dataset.fill_labels(split, ids, labels);
  dataset.fill_groups(split, ids, groups);
  std::vector<Sample> samples(ids.size());
  for (std::size_t n = 0; n < samples.size(); ++n) {
    samples[n].label = labels[n];
    samples[n].group = groups[n];
    for (index_t p = 0; p < dataset.shape().height; ++p) {
      const float* const patch = values.data() + static_cast<index_t>(n) * features + p * dataset.shape().width;
      samples[n].patches.emplace_back(patch, patch + dataset.shape().width);
    }
  }
  return samples;
}

double dot(const Vector& a, const Vector& b) { return std::inner_product(a.begin(), a.end(), b.begin(), 0.0); }
double length(const Vector& v) { return std::sqrt(dot(v, v)); }
Vector unit(Vector v) {
  const double norm = length(v);
  for (double& x : v) x /= norm;
  return v;
}

// Which of the three a patch is, by its length; anything else is a random patch.
enum class Kind { signal, centre, noise, random };
Kind kind_of(const Vector& patch, const data::Options& c) {
  const double norm = length(patch) / c.clusters.scale;
  const auto within = [&](double min, double max) { return norm > min - 1e-6 && norm < max + 1e-6; };
  if (within(c.clusters.signal_min, c.clusters.signal_max)) return Kind::signal;
  if (within(c.clusters.center_min, c.clusters.center_max)) return Kind::centre;
  if (within(c.clusters.noise_min, c.clusters.noise_max)) return Kind::noise;
  return Kind::random;
}

// The one patch of a kind. Throws if there is none.
const Vector& patch_of(const Sample& sample, Kind kind, const data::Options& c) {
  const auto found =
      std::ranges::find_if(sample.patches, [&](const Vector& p) { return kind_of(p, c) == kind; });
  if (found == sample.patches.end()) throw std::runtime_error("a sample lacks one of its patches");
  return *found;
}

// v_k with the sign of class 1, and c_k, from the samples of one split.
struct Directions {
  std::map<std::int32_t, Vector> signals, centres;

  Directions(const std::vector<Sample>& samples, const data::Options& c) {
    for (const Sample& sample : samples) {
      Vector signal = unit(patch_of(sample, Kind::signal, c));
      if (sample.label == 0) {
        for (double& x : signal) x = -x;
      }
      signals.emplace(sample.group, signal);
      centres.emplace(sample.group, unit(patch_of(sample, Kind::centre, c)));
    }
  }
};

class ClusterData : public testing::Test {
 protected:
  data::Options config_ = cluster_config();
  Dataset dataset_ = load_dataset(config_, 1);
  std::vector<Sample> samples_ = all_samples(dataset_, Split::train);
  double count_ = static_cast<double>(config_.clusters.samples);
  // Five standard deviations of how often something of this probability happens.
  double spread(double probability) const { return 5 * std::sqrt(count_ * probability * (1 - probability)); }
};

TEST_F(ClusterData, has_the_configured_sizes) {
  EXPECT_EQ(dataset_.shape(), (tensor::SampleShape{1, 5, 20}));
  EXPECT_EQ(dataset_.class_count(), 2);
  EXPECT_EQ(dataset_.group_count(), 4);
  EXPECT_EQ(dataset_.size(Split::train), 4000);
  EXPECT_EQ(dataset_.size(Split::validation), 0);
  EXPECT_EQ(dataset_.size(Split::test), 4000);
}

TEST_F(ClusterData, a_sample_has_one_signal_one_centre_one_noise_patch_and_the_rest_random) {
  for (const Split split : {Split::train, Split::test}) {
    for (const Sample& sample : all_samples(dataset_, split)) {
      std::map<Kind, int> found;
      for (const Vector& patch : sample.patches) ++found[kind_of(patch, config_)];
      ASSERT_EQ(found, (std::map<Kind, int>{
                           {Kind::signal, 1}, {Kind::centre, 1}, {Kind::noise, 1}, {Kind::random, 2}}));
    }
  }
}

TEST_F(ClusterData, its_vectors_are_orthonormal) {
  const Directions directions(samples_, config_);
  std::vector<Vector> all;
  for (const auto* part : {&directions.signals, &directions.centres}) {
    for (const auto& [group, vector] : *part) all.push_back(vector);
  }
  ASSERT_EQ(all.size(), 8U);
  for (std::size_t i = 0; i < all.size(); ++i) {
    for (std::size_t j = 0; j < all.size(); ++j) EXPECT_NEAR(dot(all[i], all[j]), i == j ? 1 : 0, 1e-6);
  }
}

// y alpha v_k, beta c_k and epsilon gamma v_k' with k' not k: every patch along its vector, with its sign.
TEST_F(ClusterData, patches_agree_with_label_and_cluster) {
  const Directions directions(samples_, config_);
  std::map<std::pair<std::int32_t, std::int32_t>, int> noise_of_cluster;
  std::map<std::pair<std::int32_t, bool>, int> sign_of_noise;  // by label
  for (const Split split : {Split::train, Split::test}) {
    for (const Sample& sample : all_samples(dataset_, split)) {
      const Vector signal = unit(patch_of(sample, Kind::signal, config_));
      ASSERT_NEAR(dot(signal, directions.signals.at(sample.group)), sample.label == 1 ? 1 : -1, 1e-6);
      const Vector centre = unit(patch_of(sample, Kind::centre, config_));
      ASSERT_NEAR(dot(centre, directions.centres.at(sample.group)), 1, 1e-6);
      const Vector noise = unit(patch_of(sample, Kind::noise, config_));
      int along = 0;
      for (const auto& [other, vector] : directions.signals) {
        const double share = dot(noise, vector);
        if (std::abs(share) < 0.5) continue;
        ASSERT_NEAR(std::abs(share), 1, 1e-6);
        ASSERT_NE(other, sample.group);
        ++along;
        if (split == Split::test) continue;
        ++noise_of_cluster[{sample.group, other}];
        ++sign_of_noise[{sample.label, share > 0}];
      }
      ASSERT_EQ(along, 1);
    }
  }
  EXPECT_EQ(noise_of_cluster.size(), 12U);
  for (const auto& [pair, found] : noise_of_cluster) EXPECT_NEAR(found, count_ / 12, spread(1 / 12.0));
  EXPECT_EQ(sign_of_noise.size(), 4U);
  for (const auto& [pair, found] : sign_of_noise) EXPECT_NEAR(found, count_ / 4, spread(0.25));
}

TEST_F(ClusterData, labels_and_clusters_are_drawn_uniformly_and_independently) {
  std::map<std::pair<std::int32_t, std::int32_t>, int> found;
  for (const Sample& sample : samples_) ++found[{sample.group, sample.label}];
  EXPECT_EQ(found.size(), 8U);
  for (const auto& [pair, count] : found) EXPECT_NEAR(count, count_ / 8, spread(1 / 8.0));
}

TEST_F(ClusterData, factors_are_uniform_in_their_ranges) {
  const auto check = [&](Kind kind, double min, double max) {
    double mean = 0, smallest = 1e9, largest = 0;
    for (const Sample& sample : samples_) {
      const double factor = length(patch_of(sample, kind, config_)) / config_.clusters.scale;
      mean += factor / count_;
      smallest = std::min(smallest, factor);
      largest = std::max(largest, factor);
    }
    const double range = max - min;
    EXPECT_NEAR(mean, (min + max) / 2, 5 * range / std::sqrt(12 * count_));
    // The largest of 4,000 uniform numbers is within 0.5% of the end, but for a chance of 2e-9.
    EXPECT_LT(smallest, min + 0.005 * range);
    EXPECT_GT(largest, max - 0.005 * range);
  };
  check(Kind::signal, 0.5, 0.7);
  check(Kind::centre, 1, 1.5);
  check(Kind::noise, 2, 3);
}

TEST_F(ClusterData, the_order_of_patches_is_uniform) {
  std::map<std::vector<Kind>, int> found;
  for (const Sample& sample : samples_) {
    std::vector<Kind> order;
    for (const Vector& patch : sample.patches) order.push_back(kind_of(patch, config_));
    ++found[order];
  }
  EXPECT_EQ(found.size(), 60U) << "orders of three different patches and two equal ones";
  for (const auto& [order, count] : found) EXPECT_NEAR(count, count_ / 60, spread(1 / 60.0));
}

TEST_F(ClusterData, random_patches_are_normal_numbers_of_the_given_size) {
  config_.clusters.patch_noise = 6;  // longer than any other patch
  config_.clusters.patches = 4;
  config_.clusters.samples = 2000;
  double squares = 0, sum = 0, within = 0, numbers = 0;
  for (const Sample& sample : all_samples(load_dataset(config_, 1), Split::train)) {
    const Vector& patch = patch_of(sample, Kind::random, config_);
    for (const double x : patch) {
      const double z = x / (10.0 * 6 / std::sqrt(20.0));
      sum += z;
      squares += z * z;
      within += std::abs(z) < 1 ? 1 : 0;
      numbers += 1;
    }
  }
  EXPECT_EQ(numbers, 2000 * 20);
  EXPECT_NEAR(sum / numbers, 0, 5 / std::sqrt(numbers));
  EXPECT_NEAR(squares / numbers, 1, 5 * std::sqrt(2 / numbers));
  EXPECT_NEAR(within / numbers, 0.6827, 5 * std::sqrt(0.6827 * 0.3173 / numbers));
}

TEST_F(ClusterData, scale_multiplies_every_number) {
  config_.clusters.patch_noise = 1;
  const std::vector<Sample> ten = all_samples(load_dataset(config_, 1), Split::train);
  config_.clusters.scale = 1;
  const std::vector<Sample> one = all_samples(load_dataset(config_, 1), Split::train);
  for (std::size_t n = 0; n < 50; ++n) {
    for (std::size_t p = 0; p < ten[n].patches.size(); ++p) {
      for (std::size_t i = 0; i < 20; ++i) {
        ASSERT_NEAR(ten[n].patches[p][i], 10 * one[n].patches[p][i], 1e-5);
      }
    }
  }
}

std::vector<float> first_rows(const Dataset& dataset, Split split, index_t count) {
  const float* const rows = dataset.rows(split);
  return {rows, rows + count * dataset.shape().features()};
}

TEST_F(ClusterData, is_a_pure_function_of_its_seed) {
  config_.clusters.patch_noise = 1;
  const std::vector<float> rows = first_rows(load_dataset(config_, 1), Split::train, 100);
  EXPECT_EQ(first_rows(load_dataset(config_, 1), Split::train, 100), rows);
  EXPECT_EQ(first_rows(load_dataset(config_, 77), Split::train, 100), rows)
      << "data.seed counts, not the run's";
  config_.seed = 4;
  EXPECT_NE(first_rows(load_dataset(config_, 1), Split::train, 100), rows);
  config_.seed = 0;  // the run's
  EXPECT_EQ(first_rows(load_dataset(config_, 3), Split::train, 100), rows);
  EXPECT_NE(first_rows(load_dataset(config_, 4), Split::train, 100), rows);
}

TEST_F(ClusterData, a_sample_does_not_depend_on_how_many_there_are) {
  const std::vector<float> rows = first_rows(dataset_, Split::train, 10);
  config_.clusters.samples = 10;
  EXPECT_EQ(first_rows(load_dataset(config_, 1), Split::train, 10), rows);
}

// The same vectors (patches_agree_with_label_and_cluster), and no sample in both.
TEST_F(ClusterData, splits_share_no_sample_and_no_draw) {
  std::set<Vector> seen;
  int same_labels = 0;
  const std::vector<Sample> test = all_samples(dataset_, Split::test);
  for (const Sample& sample : samples_) seen.insert(patch_of(sample, Kind::noise, config_));
  EXPECT_EQ(seen.size(), samples_.size()) << "two samples of one split are alike";
  for (std::size_t n = 0; n < test.size(); ++n) {
    EXPECT_FALSE(seen.contains(patch_of(test[n], Kind::noise, config_))) << n;
    same_labels += test[n].label == samples_[n].label ? 1 : 0;
  }
  EXPECT_NEAR(same_labels, count_ / 2, spread(0.5));
}

TEST_F(ClusterData, hands_out_the_rows_that_it_fills) {
  const std::vector<index_t> ids = {17, 3999, 0, 17};
  for (const Split split : {Split::train, Split::test}) {
    std::vector<float> filled(4 * 100);
    std::vector<std::int32_t> labels(4), groups(4);
    dataset_.fill(split, ids, {filled.data(), 4, 100});
    dataset_.fill_labels(split, ids, labels);
    dataset_.fill_groups(split, ids, groups);
    const std::vector<Sample> all = all_samples(dataset_, split);
    for (std::size_t i = 0; i < ids.size(); ++i) {
      const float* const row = dataset_.rows(split) + ids[i] * 100;
      EXPECT_TRUE(std::equal(row, row + 100, filled.begin() + static_cast<index_t>(i * 100)));
      EXPECT_EQ(labels[i], all[static_cast<std::size_t>(ids[i])].label);
      EXPECT_EQ(groups[i], all[static_cast<std::size_t>(ids[i])].group);
    }
  }
  std::vector<std::int32_t> one(1);
  EXPECT_THROW(dataset_.fill_groups(Split::train, std::vector<index_t>{4000}, one), ContractViolation);
  EXPECT_THROW(dataset_.fill_groups(Split::validation, std::vector<index_t>{0}, one), ContractViolation);
  EXPECT_THROW(dataset_.fill_groups(Split::train, ids, one), ContractViolation);
}

TEST(ClusterDataSizes, take_the_smallest_that_there_are) {
  data::Options config = cluster_config();
  config.clusters.count = 2;
  config.clusters.patches = 3;
  config.clusters.patch_size = 4;  // 2 K: no direction is left over
  config.clusters.samples = 200;
  const std::vector<Sample> samples = all_samples(load_dataset(config, 1), Split::train);
  const Directions directions(samples, config);
  EXPECT_NEAR(dot(directions.signals.at(0), directions.signals.at(1)), 0, 1e-6);
  EXPECT_NEAR(dot(directions.centres.at(0), directions.signals.at(1)), 0, 1e-6);
  for (const Sample& sample : samples) {
    const Vector noise = unit(patch_of(sample, Kind::noise, config));
    EXPECT_NEAR(std::abs(dot(noise, directions.signals.at(1 - sample.group))), 1, 1e-6);
  }
}

TEST(ClusterDataSizes, other_sources_have_no_groups_and_no_rows) {
  data::Options config;
  config.source = data::Source::random;
  config.random.samples = 8;
  const Dataset dataset = load_dataset(config, 1);
  EXPECT_EQ(dataset.group_count(), 0);
  EXPECT_EQ(dataset.rows(Split::train), nullptr);
}

}  // namespace
}  // namespace switchyard::data
