#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <numeric>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "base/hash.hpp"
#include "data/dataset.hpp"
#include "data/options.hpp"
#include "support/idx_files.hpp"
#include "support/temporary_directory.hpp"

namespace switchyard::data {
namespace {

using test::Bytes;
using test::Encoding;
using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr std::size_t pixel_count = 3072;
constexpr index_t samples_in_a_file = 12;

std::uint8_t pixel_of(index_t image, std::size_t place) {
  return static_cast<std::uint8_t>(
      (static_cast<std::uint64_t>(image) * pixel_count + place) * 0x9E3779B97F4A7C15u >> 40);
}

// Labels of image i: of CIFAR-10, then fine and coarse of CIFAR-100.
std::uint8_t label_of(index_t image) { return static_cast<std::uint8_t>(image * 7 % 10); }
std::uint8_t fine_of(index_t image) { return static_cast<std::uint8_t>((image * 37 + 1) % 100); }
std::uint8_t coarse_of(index_t image) { return static_cast<std::uint8_t>((image * 3 + 2) % 20); }

// The records of images first, first + 1, ...
Bytes records(bool cifar100, index_t first, index_t count) {
  Bytes bytes;
  for (index_t image = first; image < first + count; ++image) {
    if (cifar100) {
      bytes.push_back(coarse_of(image));
      bytes.push_back(fine_of(image));
    } else {
      bytes.push_back(label_of(image));
    }
    for (std::size_t place = 0; place < pixel_count; ++place) bytes.push_back(pixel_of(image, place));
  }
  return bytes;
}

// Training files hold images 0, 1, ...; the test file images 1000, 1001, ...
class CifarData : public testing::TestWithParam<Encoding> {
 protected:
  CifarData() {
    config_.source = data::Source::cifar;
    config_.dir = dir_.path().string();
    config_.validation_samples = 0;
  }

  void write(const std::string& name, const Bytes& content) {
    written_ = test::write_file(dir_.path() / name, content, GetParam());
  }
  void write_cifar10() {
    for (index_t i = 0; i < 5; ++i)
      write(fmt::format("data_batch_{}.bin", i + 1), records(false, i * samples_in_a_file, samples_in_a_file));
    write("test_batch.bin", records(false, 1000, 5));
  }
  void write_cifar100() {
    write("train.bin", records(true, 0, 40));
    write("test.bin", records(true, 1000, 7));
  }
  void write_names(const std::string& name, const std::string& text) {
    test::write_file(dir_.path() / name, Bytes(text.begin(), text.end()), Encoding::plain);
  }
  Dataset load() const { return load_dataset(config_, 1); }

  template <class Failure>
  std::string failure() {
    try {
      load();
    } catch (const Failure& error) {
      EXPECT_THAT(error.what(), HasSubstr("; "));
      return error.what();
    }
    ADD_FAILURE() << "loaded without an error";
    return "";
  }

  test::TemporaryDirectory dir_;
  std::filesystem::path written_;  // the last one
  data::Options config_;
};

INSTANTIATE_TEST_SUITE_P(Encodings, CifarData, testing::Values(Encoding::plain, Encoding::gzip),
                         [](const auto& encoding) {
                           return encoding.param == Encoding::plain ? "plain" : "gzip";
                         });

std::vector<float> row_of(const Dataset& dataset, Split split, index_t sample,
                          const std::optional<Visit>& visit = {}) {
  std::vector<float> row(pixel_count);
  dataset.fill(split, {&sample, 1}, {row.data(), 1, pixel_count}, visit);
  return row;
}

std::vector<std::int32_t> labels_of(const Dataset& dataset, Split split) {
  std::vector<index_t> samples(static_cast<std::size_t>(dataset.size(split)));
  std::iota(samples.begin(), samples.end(), index_t{0});
  std::vector<std::int32_t> labels(samples.size());
  dataset.fill_labels(split, samples, labels);
  return labels;
}

void expect_image(const std::vector<float>& row, index_t image) {
  for (std::size_t place = 0; place < pixel_count; ++place)
    ASSERT_EQ(row[place], static_cast<float>(pixel_of(image, place) / 255.0)) << image << ' ' << place;
}

TEST_P(CifarData, cifar10_is_its_six_files_in_order) {
  write_cifar10();
  const Dataset dataset = load();
  EXPECT_EQ(dataset.shape(), (tensor::SampleShape{3, 32, 32}));
  EXPECT_EQ(dataset.class_count(), 10);
  EXPECT_EQ(dataset.group_count(), 0);
  EXPECT_EQ(dataset.size(Split::train), 60);
  EXPECT_EQ(dataset.size(Split::validation), 0);
  EXPECT_EQ(dataset.size(Split::test), 5);
  const auto train = labels_of(dataset, Split::train);
  for (index_t i = 0; i < 60; ++i) {
    EXPECT_EQ(train[static_cast<std::size_t>(i)], label_of(i));
    expect_image(row_of(dataset, Split::train, i), i);
  }
  const auto test = labels_of(dataset, Split::test);
  for (index_t i = 0; i < 5; ++i) {
    EXPECT_EQ(test[static_cast<std::size_t>(i)], label_of(1000 + i));
    expect_image(row_of(dataset, Split::test, i), 1000 + i);
  }
}

TEST_P(CifarData, cifar100_has_fine_labels_and_coarse_groups) {
  write_cifar100();
  const Dataset dataset = load();
  EXPECT_EQ(dataset.shape(), (tensor::SampleShape{3, 32, 32}));
  EXPECT_EQ(dataset.class_count(), 100);
  EXPECT_EQ(dataset.group_count(), 20);
  EXPECT_EQ(dataset.size(Split::train), 40);
  EXPECT_EQ(dataset.size(Split::test), 7);
  const std::vector<index_t> samples = {39, 0, 17, 17};
  std::vector<std::int32_t> labels(4), groups(4);
  dataset.fill_labels(Split::train, samples, labels);
  dataset.fill_groups(Split::train, samples, groups);
  for (std::size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(labels[i], fine_of(samples[i]));
    EXPECT_EQ(groups[i], coarse_of(samples[i]));
    expect_image(row_of(dataset, Split::train, samples[i]), samples[i]);
  }
  EXPECT_EQ(labels_of(dataset, Split::test)[6], fine_of(1006));
  expect_image(row_of(dataset, Split::test, 6), 1006);
}

TEST_P(CifarData, cifar100_takes_coarse_labels) {
  write_cifar100();
  config_.cifar.labels = data::LabelLevel::coarse;
  const Dataset dataset = load();
  EXPECT_EQ(dataset.class_count(), 20);
  EXPECT_EQ(dataset.group_count(), 0);
  const auto labels = labels_of(dataset, Split::train);
  for (index_t i = 0; i < 40; ++i) EXPECT_EQ(labels[static_cast<std::size_t>(i)], coarse_of(i));
}

TEST_P(CifarData, classes_are_called_as_the_folder_says) {
  write_cifar10();
  EXPECT_THAT(load().class_names(), IsEmpty());
  const std::string names = "airplane\nautomobile\nbird\ncat\ndeer\ndog\nfrog\nhorse\nship\n";
  write_names("batches.meta.txt", names + "truck\n\n");
  EXPECT_EQ(load().class_names()[9], "truck");
  write_names("batches.meta.txt", names + "tru\tck\r");
  EXPECT_EQ(load().class_names()[9], "tru?ck") << "as files of other systems end";
  write_names("batches.meta.txt", names);
  EXPECT_THAT(load().class_names(), IsEmpty()) << "nine names";
  config_.derive = "rotated:30";
  write_names("batches.meta.txt", names + "truck\n");
  EXPECT_THAT(load().class_names(), testing::ElementsAre("upright", "rotated"));
  EXPECT_EQ(load().group_names()[9], "truck");
}

TEST_P(CifarData, coarse_labels_have_names_of_their_own) {
  write_cifar100();
  std::string fine, coarse;
  for (int n = 0; n < 100; ++n) fine += fmt::format("fine {}\n", n);
  for (int n = 0; n < 20; ++n) coarse += fmt::format("coarse {}\n", n);
  write_names("fine_label_names.txt", fine);
  write_names("coarse_label_names.txt", coarse);
  EXPECT_EQ(load().class_names()[99], "fine 99");
  EXPECT_EQ(load().group_names()[19], "coarse 19");
  config_.cifar.labels = data::LabelLevel::coarse;
  EXPECT_EQ(load().class_names()[19], "coarse 19");
  EXPECT_THAT(load().group_names(), IsEmpty());
}

TEST_P(CifarData, cifar10_has_no_coarse_labels) {
  write_cifar10();
  config_.cifar.labels = data::LabelLevel::coarse;
  EXPECT_THAT(failure<ConfigError>(), AllOf(HasSubstr("cifar.labels = coarse"), HasSubstr("holds CIFAR-10")));
}

TEST_P(CifarData, a_balanced_validation_split_counts_the_labels_that_are_learnt) {
  write("train.bin", records(true, 0, 400));
  write("test.bin", records(true, 1000, 7));
  config_.validation_balanced = true;
  for (const auto& [level, classes] :
       {std::pair{data::LabelLevel::fine, 100}, {data::LabelLevel::coarse, 20}}) {
    config_.cifar.labels = level;
    config_.validation_samples = 3 * classes;
    const Dataset dataset = load();
    std::map<std::int32_t, int> counts;
    for (const std::int32_t label : labels_of(dataset, Split::validation)) ++counts[label];
    EXPECT_EQ(std::ssize(counts), classes);
    for (const auto& [label, count] : counts) EXPECT_EQ(count, 3) << label;
  }
}

TEST_P(CifarData, validation_and_training_samples_part_the_training_files) {
  write_cifar10();
  config_.validation_samples = 20;
  const Dataset dataset = load();
  std::vector<index_t> found;
  for (const Split split : {Split::train, Split::validation}) {
    const auto labels = labels_of(dataset, split);
    index_t last = -1;
    for (index_t i = 0; i < dataset.size(split); ++i) {
      const std::vector<float> row = row_of(dataset, split, i);
      index_t image = last + 1;  // both splits keep the files' order
      while (image < 60 && row[0] != static_cast<float>(pixel_of(image, 0) / 255.0)) ++image;
      ASSERT_LT(image, 60);
      expect_image(row, image);
      EXPECT_EQ(labels[static_cast<std::size_t>(i)], label_of(image));
      found.push_back(last = image);
    }
  }
  EXPECT_EQ(dataset.size(Split::validation), 20);
  std::ranges::sort(found);
  for (index_t i = 0; i < 60; ++i) EXPECT_EQ(found[static_cast<std::size_t>(i)], i);
  config_.validation_samples = 60;
  EXPECT_THAT(failure<ConfigError>(), AllOf(HasSubstr("data.validation_samples = 60"), HasSubstr("set fewer")));
}

TEST_P(CifarData, each_channel_has_its_own_normalisation) {
  write_cifar10();
  const std::vector<double> mean = {0.5074, 0.4867, 0.4411}, deviation = {0.2011, 0.1987, 0.2025};
  config_.mean = mean;
  config_.standard_deviation = deviation;
  const std::vector<float> row = row_of(load(), Split::train, 33);
  for (std::size_t place = 0; place < pixel_count; ++place) {
    const std::size_t c = place / 1024;
    ASSERT_EQ(row[place], static_cast<float>((pixel_of(33, place) / 255.0 - mean[c]) / deviation[c])) << place;
  }
  config_.standard_deviation = {0.25};  // of all three
  const std::vector<float> other = row_of(load(), Split::train, 33);
  for (std::size_t place = 0; place < pixel_count; ++place)
    ASSERT_EQ(other[place], static_cast<float>((pixel_of(33, place) / 255.0 - mean[place / 1024]) / 0.25));
}

TEST_P(CifarData, has_the_digest_of_its_files) {
  write_cifar100();
  ContentHash hash;
  for (const Bytes& content : {records(true, 0, 40), records(true, 1000, 7)})
    hash.add(std::as_bytes(std::span(content)));
  EXPECT_EQ(load().identity().digest, hash.hex());
  std::filesystem::remove(dir_.path() / "train.bin");
  std::filesystem::remove(dir_.path() / "train.bin.gz");
  std::filesystem::remove(dir_.path() / "test.bin");
  std::filesystem::remove(dir_.path() / "test.bin.gz");
  write_cifar10();
  ContentHash other;
  for (const Bytes& content : {records(false, 0, 60), records(false, 1000, 5)})
    other.add(std::as_bytes(std::span(content)));
  EXPECT_EQ(load().identity().digest, other.hex());
}

TEST_P(CifarData, a_wrong_count_of_means_is_a_configuration_error) {
  write_cifar10();
  config_.mean = {0.1, 0.2};
  EXPECT_THAT(failure<ConfigError>(), HasSubstr("data.mean has 2 numbers but the samples have 3 channels"));
  config_.mean = {0};
  config_.standard_deviation = {1, 1, 1, 1};
  EXPECT_THAT(failure<ConfigError>(),
              HasSubstr("data.standard_deviation has 4 numbers but the samples have 3 channels"));
}

TEST_P(CifarData, a_folder_without_files_says_what_and_from_where) {
  EXPECT_THAT(failure<DataError>(),
              AllOf(HasSubstr(config_.dir + " holds no file of CIFAR-10 or CIFAR-100"),
                    HasSubstr("data_batch_1.bin to data_batch_5.bin and test_batch.bin"),
                    HasSubstr("train.bin and test.bin"),
                    HasSubstr("the binary version from the CIFAR page of the University of Toronto")));
}

TEST_P(CifarData, a_folder_with_files_of_both_is_refused) {
  write_cifar10();
  write("test.bin", records(true, 0, 1));
  EXPECT_THAT(failure<DataError>(),
              AllOf(HasSubstr("files of both CIFAR-10 and CIFAR-100"), HasSubstr("test_batch.bin")));
}

TEST_P(CifarData, a_missing_file_is_named) {
  write_cifar10();
  std::filesystem::remove(written_);
  EXPECT_THAT(failure<DataError>(), AllOf(HasSubstr("test_batch.bin nor test_batch.bin.gz exists"),
                                          HasSubstr("other files of CIFAR-10"),
                                          HasSubstr("CIFAR page of the University of Toronto")));
}

TEST_P(CifarData, a_file_that_ends_within_a_record_is_refused) {
  write_cifar10();
  Bytes content = records(false, 0, 3);
  content.pop_back();
  write("data_batch_4.bin", content);
  EXPECT_THAT(failure<DataError>(),
              AllOf(HasSubstr(written_.string()), HasSubstr("has 9218 bytes"), HasSubstr("at byte 6146"),
                    HasSubstr("a record of CIFAR-10 has 3073 bytes")));
  write("data_batch_4.bin", {});
  EXPECT_THAT(failure<DataError>(), AllOf(HasSubstr(written_.string() + " is empty"), HasSubstr("3073 bytes")));
}

TEST_P(CifarData, a_label_out_of_range_has_file_offset_and_value) {
  write_cifar10();
  Bytes content = records(false, 0, 3);
  content[2 * 3073] = 10;
  write("data_batch_2.bin", content);
  EXPECT_THAT(failure<DataError>(),
              HasSubstr(written_.string() + " has the label 10 at byte 6146 (CIFAR-10 has 0 to 9)"));
}

TEST_P(CifarData, both_labels_of_cifar100_are_checked) {
  write_cifar100();
  Bytes content = records(true, 0, 3);
  content[3074] = 20;
  write("test.bin", content);
  EXPECT_THAT(failure<DataError>(),
              HasSubstr(written_.string() + " has the coarse label 20 at byte 3074 (CIFAR-100 has 0 to 19)"));
  content[3074] = 19;
  content[1] = 255;
  write("test.bin", content);
  EXPECT_THAT(failure<DataError>(),
              HasSubstr(written_.string() + " has the fine label 255 at byte 1 (CIFAR-100 has 0 to 99)"));
  content[1] = 99;
  write("test.bin", content);
  EXPECT_EQ(load().size(Split::test), 3);
}

TEST_P(CifarData, a_truncated_or_damaged_gzip_stream_is_refused) {
  if (GetParam() == Encoding::plain) return;  // any bytes are pixels there
  write_cifar100();
  Bytes content = test::read_file(written_);
  const Bytes whole = content;
  content.resize(content.size() - 6);
  test::write_file(written_, content);
  EXPECT_THAT(failure<DataError>(), HasSubstr("test.bin.gz cannot be read to its end"));
  content = whole;
  content[content.size() / 2] ^= 0x10;
  test::write_file(written_, content);
  EXPECT_THAT(failure<DataError>(), HasSubstr("test.bin.gz cannot be read to its end"));
}

// Augmentation, against the padded image in full.
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
