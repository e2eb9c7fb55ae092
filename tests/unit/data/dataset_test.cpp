#include "data/dataset.hpp"
#include "data/options.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "base/hash.hpp"
#include "data/permutation.hpp"
#include "support/config_error.hpp"
#include "support/idx_files.hpp"
#include "support/temporary_directory.hpp"

namespace switchyard::data {
namespace {

using test::Bytes;
using test::LabelledImages;
using testing::AllOf;
using testing::HasSubstr;

// Image i of a set is its number, low byte first, then values that vary: samples can be told apart by their
// pixels.
LabelledImages numbered_images(std::uint32_t count, std::uint32_t classes) {
  LabelledImages images{count, 2, 3, {}, {}};
  for (std::uint32_t i = 0; i < count; ++i) {
    for (const std::uint32_t value : {i & 255, i >> 8, i * 7, i * 31, 255 - i, std::uint32_t{0}})
      images.pixels.push_back(static_cast<std::uint8_t>(value));
    images.labels.push_back(static_cast<std::uint8_t>(i * 13 % classes));
  }
  return images;
}

class IdxDataset : public testing::Test {
 protected:
  IdxDataset() {
    config_.dir = dir_.path().string();
    config_.validation_samples = 100;
    write("train", train_);
    write("t10k", test_);
  }
  void write(const std::string& prefix, const LabelledImages& images) {
    test::write_idx_pair(dir_.path(), prefix, images);
  }
  template <class Failure>
  std::string failure() {
    return test::data_error_of<Failure>([&] { load_dataset(config_, 1); });
  }
  // Which image of the training files a filled row came from.
  static index_t number_of(const std::vector<float>& row) {
    return std::lround(row[0] * 255) + 256 * std::lround(row[1] * 255);
  }
  std::vector<index_t> numbers_of(const Dataset& dataset, Split split) const {
    std::vector<index_t> numbers;
    std::vector<float> row(6);
    std::int32_t label = 0;
    for (index_t i = 0; i < dataset.size(split); ++i) {
      dataset.fill(split, {&i, 1}, {row.data(), 1, 6});
      dataset.fill_labels(split, {&i, 1}, {&label, 1});
      numbers.push_back(number_of(row));
      EXPECT_EQ(label, train_.labels[static_cast<std::size_t>(numbers.back())]);
    }
    return numbers;
  }

  test::TemporaryDirectory dir_;
  LabelledImages train_ = numbered_images(700, 7);
  LabelledImages test_ = numbered_images(50, 7);
  data::Options config_;
};

TEST_F(IdxDataset, has_the_shape_the_classes_and_the_sizes_of_the_files) {
  const Dataset dataset = load_dataset(config_, 1);
  EXPECT_EQ(dataset.shape(), (tensor::SampleShape{1, 2, 3}));
  EXPECT_EQ(dataset.shape().features(), 6);
  EXPECT_EQ(dataset.class_count(), 7);
  EXPECT_EQ(dataset.size(Split::train), 600);
  EXPECT_EQ(dataset.size(Split::validation), 100);
  EXPECT_EQ(dataset.size(Split::test), 50);
}

TEST_F(IdxDataset, reads_compressed_files_alike) {
  const Dataset plain = load_dataset(config_, 1);
  test::TemporaryDirectory compressed_dir;
  test::write_idx_pair(compressed_dir.path(), "train", train_, test::Encoding::gzip);
  test::write_idx_pair(compressed_dir.path(), "t10k", test_, test::Encoding::gzip);
  config_.dir = compressed_dir.path().string();
  const Dataset compressed = load_dataset(config_, 1);
  EXPECT_EQ(numbers_of(plain, Split::train), numbers_of(compressed, Split::train));
}

TEST_F(IdxDataset, validation_and_training_samples_part_the_training_files) {
  const Dataset dataset = load_dataset(config_, 1);
  const auto train = numbers_of(dataset, Split::train);
  const auto validation = numbers_of(dataset, Split::validation);
  EXPECT_TRUE(std::is_sorted(train.begin(), train.end()));
  EXPECT_TRUE(std::is_sorted(validation.begin(), validation.end()));
  std::set<index_t> all(train.begin(), train.end());
  all.insert(validation.begin(), validation.end());
  EXPECT_EQ(all.size(), 700u);
  EXPECT_EQ(*all.rbegin(), 699);
  // Spread over the files: 100 of 700 at random leave each quarter with 25 +- 4.
  for (index_t quarter = 0; quarter < 4; ++quarter) {
    const auto inside = [&](index_t i) { return i * 4 / 700 == quarter; };
    EXPECT_NEAR(static_cast<double>(std::count_if(validation.begin(), validation.end(), inside)), 25, 16);
  }
}

TEST_F(IdxDataset, the_validation_split_does_not_depend_on_the_seed) {
  EXPECT_EQ(numbers_of(load_dataset(config_, 1), Split::validation),
            numbers_of(load_dataset(config_, 2), Split::validation));
}

TEST_F(IdxDataset, a_smaller_validation_split_is_part_of_a_larger_one) {
  const auto large = numbers_of(load_dataset(config_, 1), Split::validation);
  config_.validation_samples = 40;
  const auto small = numbers_of(load_dataset(config_, 1), Split::validation);
  EXPECT_TRUE(std::includes(large.begin(), large.end(), small.begin(), small.end()));
  config_.validation_samples = 0;
  EXPECT_EQ(load_dataset(config_, 1).size(Split::train), 700);
}

TEST_F(IdxDataset, fill_gives_normalised_rows_in_the_order_asked_for) {
  config_.mean = {0.2860};
  config_.standard_deviation = {0.3530};
  const Dataset dataset = load_dataset(config_, 1);
  const std::vector<index_t> samples = {49, 0, 7, 7, 31};
  const index_t stride = 9;  // rows may lie apart; what is between them stays as it was
  std::vector<float> rows(samples.size() * stride, -77.0f);
  std::vector<std::int32_t> labels(samples.size());
  dataset.fill(Split::test, samples, {rows.data(), 5, 6, stride});
  dataset.fill_labels(Split::test, samples, labels);
  for (std::size_t i = 0; i < samples.size(); ++i) {
    const auto sample = static_cast<std::size_t>(samples[i]);
    EXPECT_EQ(labels[i], test_.labels[sample]);
    for (std::size_t f = 0; f < 6; ++f) {
      const double expected = (test_.pixels[sample * 6 + f] / 255.0 - 0.2860) / 0.3530;
      EXPECT_EQ(rows[i * stride + f], static_cast<float>(expected));
    }
    for (std::size_t f = 6; f < stride; ++f) EXPECT_EQ(rows[i * stride + f], -77.0f);
  }
}

// Every row length modulo the eight pixels that fill takes at a time, and a real one; every pixel value.
TEST_F(IdxDataset, fill_agrees_with_a_naive_loop_for_any_row_length) {
  for (const std::uint32_t width : {1U, 7U, 8U, 9U, 10U, 11U, 12U, 13U, 14U, 15U, 16U, 17U, 784U}) {
    LabelledImages images{40, 1, width, {}, Bytes(40, 3)};
    for (std::uint32_t i = 0; i < 40 * width; ++i)
      images.pixels.push_back(static_cast<std::uint8_t>(i * 2654435761u >> 11));
    write("train", images);
    write("t10k", images);
    config_.validation_samples = 0;
    config_.mean = {0.13};
    config_.standard_deviation = {0.31};
    const Dataset dataset = load_dataset(config_, 1);
    std::vector<index_t> samples;
    for (index_t i = 0; i < 40; ++i) samples.push_back(i * 7 % 40);
    std::vector<float> rows(40 * width);
    std::vector<std::int32_t> labels(40);
    dataset.fill(Split::train, samples, {rows.data(), 40, width});
    dataset.fill_labels(Split::train, samples, labels);
    for (std::size_t i = 0; i < 40; ++i) {
      for (std::size_t f = 0; f < width; ++f) {
        const double pixel = images.pixels[static_cast<std::size_t>(samples[i]) * width + f];
        ASSERT_EQ(rows[i * width + f], static_cast<float>((pixel / 255 - 0.13) / 0.31)) << i << ' ' << f;
      }
    }
  }
}

TEST_F(IdxDataset, fill_refuses_what_does_not_fit) {
  const Dataset dataset = load_dataset(config_, 1);
  std::vector<float> rows(12);
  std::vector<std::int32_t> labels(2);
  const std::vector<index_t> good = {0, 49}, beyond = {0, 50}, negative = {-1, 0};
  dataset.fill(Split::test, good, {rows.data(), 2, 6});
  dataset.fill_labels(Split::test, good, labels);
  dataset.fill(Split::test, {}, {rows.data(), 0, 6});
  EXPECT_THROW(dataset.fill(Split::test, beyond, {rows.data(), 2, 6}), ContractViolation);
  EXPECT_THROW(dataset.fill(Split::test, negative, {rows.data(), 2, 6}), ContractViolation);
  EXPECT_THROW(dataset.fill(Split::test, good, {rows.data(), 1, 6}), ContractViolation);
  EXPECT_THROW(dataset.fill(Split::test, good, {rows.data(), 2, 5}), ContractViolation);
  EXPECT_THROW(dataset.fill_labels(Split::test, good, {labels.data(), 1}), ContractViolation);
}

TEST_F(IdxDataset, a_validation_split_that_leaves_nothing_is_a_configuration_error) {
  config_.validation_samples = 699;
  EXPECT_EQ(load_dataset(config_, 1).size(Split::train), 1);
  for (const index_t count : {700, 5000}) {
    config_.validation_samples = count;
    EXPECT_THAT(failure<ConfigError>(),
                AllOf(HasSubstr(fmt::format("data.validation_samples = {}", count)), HasSubstr("holds 700"),
                      HasSubstr("set fewer, or auto (a tenth of them)")));
  }
}

TEST_F(IdxDataset, takes_a_tenth_for_validation_by_itself) {
  config_.validation_samples = data::Options().validation_samples;
  const Identity identity = load_dataset(config_, 1).identity();
  EXPECT_EQ(identity.validation_samples, 70);
  EXPECT_EQ(identity.training_samples, 630);
}

TEST_F(IdxDataset, takes_5000_for_validation_by_itself_at_most) {
  for (const std::uint32_t count : {9U, 49999U, 50000U, 60000U}) {
    write("train", numbered_images(count, 7));
    const index_t expected = count == 9 ? 0 : count == 49999 ? 4999 : 5000;
    config_.validation_samples = config::automatic_count;
    const Dataset dataset = load_dataset(config_, 1);
    EXPECT_EQ(dataset.size(Split::validation), expected);
    config_.validation_samples = expected;
    EXPECT_EQ(dataset.identity(), load_dataset(config_, 1).identity());
  }
}

// The naive way: class by class, the first of its rows in the order of the permutation.
std::vector<index_t> balanced_rows(const Bytes& labels, index_t samples) {
  const Permutation order(std::ssize(labels), 20, RandomUse::split);
  std::map<int, std::vector<index_t>> rows_of;
  for (index_t i = 0; i < std::ssize(labels); ++i) {
    const index_t row = order.at(0, i);
    rows_of[labels[static_cast<std::size_t>(row)]].push_back(row);
  }
  std::vector<index_t> chosen;
  index_t place = 0;
  for (const auto& [label, rows] : rows_of) {
    index_t count = samples / std::ssize(rows_of);
    if (place++ < samples % std::ssize(rows_of)) ++count;
    chosen.insert(chosen.end(), rows.begin(), rows.begin() + count);
  }
  std::sort(chosen.begin(), chosen.end());
  return chosen;
}

TEST_F(IdxDataset, a_balanced_validation_split_has_as_many_of_each_class) {
  // 0 has 1/8 of the samples, 1 half of them, 3 the rest; none is of class 2, 4 or 5.
  for (std::size_t i = 0; i < train_.labels.size(); ++i)
    train_.labels[i] = static_cast<std::uint8_t>(i % 8 == 0 ? 0 : i % 2 == 0 ? 1 : i % 3 == 0 ? 3 : 6);
  write("train", train_);
  config_.validation_balanced = true;
  std::vector<index_t> smaller;
  for (const index_t samples : {1, 3, 4, 50, 101, 200}) {
    config_.validation_samples = samples;
    const Dataset dataset = load_dataset(config_, 1);
    const std::vector<index_t> found = numbers_of(dataset, Split::validation);
    EXPECT_EQ(found, balanced_rows(train_.labels, samples)) << samples;
    EXPECT_EQ(dataset.size(Split::train) + std::ssize(found), 700);
    EXPECT_TRUE(std::includes(found.begin(), found.end(), smaller.begin(), smaller.end()));
    smaller = found;
  }
  EXPECT_EQ(smaller, numbers_of(load_dataset(config_, 2), Split::validation)) << "of another seed";
}

TEST_F(IdxDataset, a_class_with_too_few_samples_for_a_balanced_split_is_named) {
  std::ranges::fill(train_.labels, std::uint8_t{1});
  for (std::size_t i = 0; i < 10; ++i) train_.labels[i * 7] = 3;
  write("train", train_);
  config_.validation_balanced = true;
  config_.validation_samples = 19;  // 10 of class 1 and 9 of class 3
  EXPECT_EQ(load_dataset(config_, 1).size(Split::validation), 19);
  config_.validation_samples = 20;
  EXPECT_THAT(failure<ConfigError>(), AllOf(HasSubstr("takes 10 of the 20 validation samples from class 3"),
                                            HasSubstr("holds 10 of it")));
}

TEST_F(IdxDataset, images_of_one_channel_take_one_mean) {
  config_.mean = {0.1, 0.2, 0.3};
  EXPECT_THAT(failure<ConfigError>(), HasSubstr("data.mean has 3 numbers but the samples have 1 channel;"));
  config_.mean = {0.1};
  config_.standard_deviation = {1, 1};
  EXPECT_THAT(failure<ConfigError>(), HasSubstr("data.standard_deviation has 2 numbers"));
}

TEST_F(IdxDataset, an_empty_folder_name_is_a_configuration_error) {
  config_.dir = "";
  EXPECT_THAT(failure<ConfigError>(), HasSubstr("data.dir is empty"));
}

TEST_F(IdxDataset, a_missing_file_is_named) {
  std::filesystem::remove(dir_.path() / "t10k-labels-idx1-ubyte");
  EXPECT_THAT(failure<DataError>(),
              AllOf(HasSubstr("t10k-labels-idx1-ubyte"), HasSubstr("dataset-fashion-mnist")));
}

TEST_F(IdxDataset, images_and_labels_that_differ_in_number_are_refused) {
  test::write_file(dir_.path() / "t10k-labels-idx1-ubyte", test::idx_bytes({49}, Bytes(49)));
  EXPECT_THAT(failure<DataError>(),
              AllOf(HasSubstr("t10k-labels-idx1-ubyte has 49 numbers"), HasSubstr("has 50 samples")));
}

TEST_F(IdxDataset, images_of_two_sizes_are_refused) {
  test_.height = 3;
  test_.width = 2;
  write("t10k", test_);
  EXPECT_THAT(failure<DataError>(), AllOf(HasSubstr("pixels (uint8) of 1 x 2 x 3"), HasSubstr("of 1 x 3 x 2")));
}

TEST_F(IdxDataset, labels_and_images_swapped_are_refused) {
  std::filesystem::rename(dir_.path() / "train-labels-idx1-ubyte", dir_.path() / "aside");
  std::filesystem::rename(dir_.path() / "train-images-idx3-ubyte", dir_.path() / "train-labels-idx1-ubyte");
  std::filesystem::rename(dir_.path() / "aside", dir_.path() / "train-images-idx3-ubyte");
  EXPECT_THAT(failure<DataError>(),
              AllOf(HasSubstr("train-images-idx3-ubyte starts with 0x00000801"), HasSubstr("of 3 dimensions")));
}

// Once as MNIST calls them, once by what they are.
TEST_F(IdxDataset, takes_numbers_of_other_types_and_shapes) {
  for (const std::string end : {"idx3-ubyte", "idx2-short"}) {
    if (end == "idx2-short") std::filesystem::remove_all(dir_.path());
    std::filesystem::create_directory(dir_.path());
    for (const std::string set : {"train", "t10k"}) {
      const std::uint32_t count = set == "train" ? 20 : 5;
      Bytes values;
      for (std::uint32_t i = 0; i < 3 * count; ++i) {
        values.push_back(i % 2 == 0 ? 0 : 0xff);  // 256 ... below 0 or not
        values.push_back(static_cast<std::uint8_t>(i));
      }
      Bytes content =
          end == "idx2-short" ? test::idx_bytes({count, 3}, values) : test::idx_bytes({count, 3, 1}, values);
      content[2] = 0x0b;
      test::write_file(dir_.path() / (set + "-images-" + end), content);
      test::write_file(dir_.path() / (set + "-labels-idx1-ubyte"), test::idx_bytes({count}, Bytes(count, 1)));
    }
    config_.validation_samples = 0;
    const Dataset dataset = load_dataset(config_, 1);
    EXPECT_FALSE(dataset.has_pixels());
    EXPECT_EQ(dataset.shape().features(), 3);
    std::vector<float> row(3);
    const index_t sample = 4;
    dataset.fill(Split::test, {&sample, 1}, {row.data(), 1, 3});
    EXPECT_EQ(row, (std::vector<float>{12, 13 - 256, 14}));
  }
}

TEST_F(IdxDataset, two_files_of_one_array_are_refused) {
  std::filesystem::remove(dir_.path() / "train-images-idx3-ubyte");
  for (const std::string end : {"idx3-byte", "idx3-short"})
    test::write_file(dir_.path() / ("train-images-" + end), test::idx_bytes({1, 1, 1}, Bytes(1)));
  EXPECT_THAT(failure<DataError>(),
              AllOf(HasSubstr("train-images-idx3-byte is beside"), HasSubstr("idx3-short")));
}

// Against the sums, of the training samples alone.
TEST_F(IdxDataset, takes_scales_from_its_training_samples) {
  for (const data::Normalise kind : {data::Normalise::channel, data::Normalise::feature}) {
    config_.normalise = data::Normalise::given;
    const Dataset plain = load_dataset(config_, 1);
    config_.normalise = kind;
    const Dataset scaled = load_dataset(config_, 1);
    const index_t count = plain.size(Split::train);
    std::vector<index_t> samples;
    for (index_t i = 0; i < count; ++i) samples.push_back(i);
    std::vector<float> before(static_cast<std::size_t>(count) * 6), after(before.size());
    plain.fill(Split::train, samples, {before.data(), count, 6});
    scaled.fill(Split::train, samples, {after.data(), count, 6});
    for (std::size_t f = 0; f < 6; ++f) {
      const bool is_one = kind == data::Normalise::channel;
      double mean = 0, square = 0, n = 0;
      for (std::size_t i = is_one ? 0 : f; i < before.size(); i += is_one ? 1 : 6) {
        mean += before[i];
        square += before[i] * before[i];
        n += 1;
      }
      mean /= n;
      const double deviation = std::sqrt(square / n - mean * mean);
      for (std::size_t i = f; i < before.size(); i += 6)
        ASSERT_NEAR(after[i], deviation < 1e-6 ? 0 : (before[i] - mean) / deviation, 1e-4) << i;
    }
    EXPECT_EQ(scaled.identity(), plain.identity());
    ASSERT_NE(scaled.learned_normalisation(), nullptr);
    EXPECT_EQ(std::ssize(scaled.learned_normalisation()->mean), kind == data::Normalise::channel ? 1 : 6);
  }
}

// As the first version of this program computed it: a run that goes on still finds its data.
TEST_F(IdxDataset, has_the_digest_of_its_files) {
  ContentHash hash;
  for (const LabelledImages* images : {&train_, &test_}) {
    hash.add(std::as_bytes(std::span(images->pixels)));
    hash.add(std::as_bytes(std::span(images->labels)));
  }
  EXPECT_EQ(load_dataset(config_, 1).identity().digest, hash.hex());
}

TEST_F(IdxDataset, the_largest_label_of_any_split_counts) {
  test_.labels[3] = 255;
  write("t10k", test_);
  EXPECT_EQ(load_dataset(config_, 1).class_count(), 256);
}

TEST_F(IdxDataset, is_told_apart_by_its_content_and_the_sizes_of_its_splits) {
  const Identity first = load_dataset(config_, 1).identity();
  EXPECT_EQ(first.training_samples + first.validation_samples, train_.count);
  EXPECT_EQ(first.test_samples, test_.count);
  EXPECT_EQ(first, load_dataset(config_, 2).identity());

  config_.validation_samples = 101;
  const Identity split_otherwise = load_dataset(config_, 1).identity();
  EXPECT_EQ(split_otherwise.digest, first.digest);
  EXPECT_NE(split_otherwise, first);

  config_.validation_samples = 100;
  for (std::vector<std::uint8_t>* bytes : {&test_.pixels, &test_.labels}) {
    bytes->back() ^= 1;
    write("t10k", test_);
    const Identity changed = load_dataset(config_, 1).identity();
    EXPECT_NE(changed.digest, first.digest);
    bytes->back() ^= 1;
  }
}

}  // namespace
}  // namespace switchyard::data
