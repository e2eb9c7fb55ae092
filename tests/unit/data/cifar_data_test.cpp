#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "base/hash.hpp"
#include "data/dataset.hpp"
#include "data/options.hpp"
#include "support/idx_files.hpp"
#include "unit/data/cifar_data.hpp"

namespace switchyard::data {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;

INSTANTIATE_TEST_SUITE_P(Encodings, CifarData, testing::Values(Encoding::plain, Encoding::gzip),
                         [](const auto& encoding) {
                           return encoding.param == Encoding::plain ? "plain" : "gzip";
                         });

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
  EXPECT_THAT(load().remarks(), IsEmpty());
  config_.derive = "rotated:30";
  write_names("batches.meta.txt", names + "truck\n");
  EXPECT_THAT(load().class_names(), testing::ElementsAre("upright", "rotated"));
  EXPECT_EQ(load().group_names()[9], "truck");
}

TEST_P(CifarData, lists_that_name_no_classes_are_remarked_upon) {
  write_cifar10();
  const std::string names = "airplane\nautomobile\nbird\ncat\ndeer\ndog\nfrog\nhorse\nship\n";
  const auto expect = [&](const std::string& list, const std::string& why) {
    write_names("batches.meta.txt", list);
    const Dataset dataset = load();
    EXPECT_THAT(dataset.class_names(), IsEmpty()) << why;
    EXPECT_THAT(dataset.remarks(), testing::ElementsAre(AllOf(HasSubstr(
                                       "batches.meta.txt gives no names (it has " + why +
                                       ", and CIFAR-10 has 10 classes); write the name of each on a line"))));
  };
  expect(names, "9 lines");
  expect(names + "truck\ntrain\n", "11 lines");
  expect("\n" + names, "an empty name");
  expect(names + "cat\n", "the name cat twice");
  expect(names + std::string(5000, 'x'), "a name of 5000 bytes (at most 256 are read)");
  write_names("batches.meta.txt", "");
  EXPECT_THAT(load().remarks(), testing::ElementsAre(HasSubstr("(it has 0 lines")));
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

}  // namespace
}  // namespace switchyard::data
