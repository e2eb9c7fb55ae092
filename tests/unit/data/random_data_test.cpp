#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <vector>

#include "base/error.hpp"
#include "data/dataset.hpp"
#include "data/options.hpp"

namespace switchyard::data {
namespace {

struct Rows {
  std::vector<float> values;
  std::vector<std::int32_t> labels;
};

Rows fill(const Dataset& dataset, Split split, const std::vector<index_t>& samples) {
  const auto count = static_cast<index_t>(samples.size());
  const index_t features = dataset.shape().features();
  Rows rows{std::vector<float>(static_cast<std::size_t>(count * features)),
            std::vector<std::int32_t>(samples.size())};
  dataset.fill(split, samples, {rows.values.data(), count, features});
  dataset.fill_labels(split, samples, rows.labels);
  return rows;
}

std::vector<index_t> first_samples(index_t count) {
  std::vector<index_t> samples(static_cast<std::size_t>(count));
  std::iota(samples.begin(), samples.end(), index_t{0});
  return samples;
}

data::Options random_config(index_t features = 50) {
  data::Options config;
  config.source = data::Source::random;
  config.random.samples = 1000;
  config.random.features = features;
  config.random.classes = 7;
  return config;
}

TEST(RandomData, has_the_configured_sizes) {
  const Dataset dataset = load_dataset(random_config(), 1);
  EXPECT_EQ(dataset.shape(), (tensor::SampleShape{1, 1, 50}));
  EXPECT_EQ(dataset.class_count(), 7);
  EXPECT_EQ(dataset.size(Split::train), 1000);
  EXPECT_EQ(dataset.size(Split::validation), 250);
  EXPECT_EQ(dataset.size(Split::test), 250);
}

TEST(RandomData, a_sample_depends_on_seed_split_and_number_only) {
  const Dataset dataset = load_dataset(random_config(), 1);
  const Rows all = fill(dataset, Split::train, first_samples(100));
  const Rows one = fill(dataset, Split::train, {42});
  EXPECT_EQ(one.labels[0], all.labels[42]);
  EXPECT_EQ(one.values, std::vector<float>(all.values.begin() + 42 * 50, all.values.begin() + 43 * 50));
  EXPECT_EQ(fill(load_dataset(random_config(), 1), Split::train, {42}).values, one.values);
  EXPECT_NE(fill(load_dataset(random_config(), 2), Split::train, {42}).values, one.values);
  EXPECT_NE(fill(dataset, Split::validation, {42}).values, one.values);
  EXPECT_NE(fill(dataset, Split::test, {42}).values, fill(dataset, Split::validation, {42}).values);
  EXPECT_NE(fill(dataset, Split::train, {43}).values, one.values);
}

TEST(RandomData, labels_are_spread_over_the_classes) {
  const Rows rows = fill(load_dataset(random_config(), 1), Split::train, first_samples(1000));
  std::vector<int> counts(7, 0);
  for (const std::int32_t label : rows.labels) {
    ASSERT_GE(label, 0);
    ASSERT_LT(label, 7);
    ++counts[static_cast<std::size_t>(label)];
  }
  for (const int count : counts) EXPECT_NEAR(count, 1000.0 / 7, 5 * std::sqrt(1000.0 / 7));
}

TEST(RandomData, features_lie_in_the_range_of_pixels_and_are_normalised) {
  data::Options config = random_config();
  const Rows plain = fill(load_dataset(config, 1), Split::train, {5});
  for (const float value : plain.values) {
    EXPECT_GE(value, 48 / 255.0f);
    EXPECT_LE(value, 207 / 255.0f);
  }
  config.mean = {0.5};
  config.standard_deviation = {0.25};
  const Rows normalised = fill(load_dataset(config, 1), Split::train, {5});
  for (std::size_t f = 0; f < 50; ++f) EXPECT_NEAR(normalised.values[f], (plain.values[f] - 0.5) / 0.25, 1e-6);
}

// The nearest class mean, estimated from the training split, must classify the test split: far better than
// chance, and with few features not perfectly.
double nearest_mean_accuracy(index_t features) {
  const Dataset dataset = load_dataset(random_config(features), 3);
  const Rows train = fill(dataset, Split::train, first_samples(1000));
  const auto width = static_cast<std::size_t>(features);
  std::vector<double> means(7 * width, 0), counts(7, 0);
  for (std::size_t i = 0; i < 1000; ++i) {
    const auto label = static_cast<std::size_t>(train.labels[i]);
    counts[label] += 1;
    for (std::size_t f = 0; f < width; ++f) means[label * width + f] += train.values[i * width + f];
  }
  const Rows test = fill(dataset, Split::test, first_samples(250));
  int right = 0;
  for (std::size_t i = 0; i < 250; ++i) {
    std::size_t best = 0;
    double best_distance = 1e300;
    for (std::size_t c = 0; c < 7; ++c) {
      double distance = 0;
      for (std::size_t f = 0; f < width; ++f)
        distance += std::pow(test.values[i * width + f] - means[c * width + f] / counts[c], 2);
      if (distance < best_distance) best_distance = distance, best = c;
    }
    right += static_cast<std::size_t>(test.labels[i]) == best;
  }
  return right / 250.0;
}

TEST(RandomData, can_be_learned) {
  EXPECT_GT(nearest_mean_accuracy(200), 0.9);
  EXPECT_GT(nearest_mean_accuracy(16), 0.4);
  EXPECT_LT(nearest_mean_accuracy(16), 0.95);
}

TEST(RandomData, features_are_independent_of_their_number) {
  const Rows narrow = fill(load_dataset(random_config(17), 1), Split::train, {9});
  const Rows wide = fill(load_dataset(random_config(40), 1), Split::train, {9});
  EXPECT_EQ(narrow.values, std::vector<float>(wide.values.begin(), wide.values.begin() + 17));
}

}  // namespace
}  // namespace switchyard::data
