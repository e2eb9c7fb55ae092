#include "run/start_warnings.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "run/config.hpp"
#include "support/cifar_files.hpp"
#include "support/idx_files.hpp"
#include "support/temporary_directory.hpp"

namespace switchyard::run {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class StartWarnings : public testing::Test {
 protected:
  StartWarnings() {
    config_.data.dir = dir_.path().string();
    config_.data.mean = {0.13};
    config_.data.standard_deviation = {0.28};
    config_.train.batch_size = 64;
    write();
  }
  void write() {
    test::write_idx_dataset(dir_.path(), {.train_samples = 200, .test_samples = 20, .classes = 4});
  }
  // Labels of the training files, in turn.
  void write_labels(const test::Bytes& labels) {
    test::LabelledImages images = test::class_structured_images(200, 4, 1);
    for (std::size_t i = 0; i < images.labels.size(); ++i) images.labels[i] = labels[i % labels.size()];
    test::write_idx_pair(dir_.path(), "train", images);
  }
  std::vector<std::string> warnings(int ranks = 1, device::DeviceKind device = device::DeviceKind::cpu) {
    const data::Dataset dataset = data::load_dataset(config_.data, 1);
    return start_warnings(config_, dataset,
                          moe::Placement::make(config_.moe.placement, config_.moe.experts, ranks), device);
  }

  test::TemporaryDirectory dir_;
  run::Config config_;
};

TEST_F(StartWarnings, are_none_where_all_is_well) {
  EXPECT_THAT(warnings(1), IsEmpty());
  EXPECT_THAT(warnings(5), IsEmpty());
}

TEST_F(StartWarnings, name_ranks_without_samples) {
  config_.moe.experts = 16;
  EXPECT_THAT(warnings(8), IsEmpty());
  EXPECT_THAT(warnings(9), ElementsAre(AllOf(HasSubstr("1 of 9 ranks has no samples"),
                                             HasSubstr("train.shards = 8"), HasSubstr("raise train.shards"))));
  config_.train.shards = 16;
  EXPECT_THAT(warnings(16), IsEmpty());
  config_.train.batch_size = 12;
  EXPECT_THAT(warnings(16), ElementsAre(AllOf(HasSubstr("4 of 16 ranks have no samples"),
                                              HasSubstr("12 samples"), HasSubstr("raise train.batch_size"))));
}

TEST_F(StartWarnings, name_ranks_without_experts) {
  EXPECT_THAT(warnings(6), ElementsAre(AllOf(HasSubstr("1 of 6 ranks hosts no expert (moe.experts = 5)"))));
  config_.moe.placement = moe::PlacementRule::cyclic;
  EXPECT_THAT(warnings(8), ElementsAre(HasSubstr("3 of 8 ranks host no expert")));
}

TEST_F(StartWarnings, name_a_batch_that_is_larger_than_the_split) {
  config_.train.batch_size = 180;
  EXPECT_THAT(warnings(), IsEmpty());
  config_.train.batch_size = 181;
  EXPECT_THAT(warnings(), ElementsAre(HasSubstr("train.batch_size = 181 exceeds the 180 training samples")));
}

TEST_F(StartWarnings, name_classes_without_samples) {
  write_labels({1, 2, 3});
  EXPECT_THAT(warnings(), ElementsAre(HasSubstr("class 0 has no training sample (of classes 0 to 3)")));
  write_labels({1, 5});
  EXPECT_THAT(warnings(), ElementsAre(HasSubstr("classes 0, 2, 3, 4 have no training sample")));
  std::vector<std::uint8_t> labels;
  for (std::uint8_t label = 0; label < 14; ++label) labels.push_back(label < 13 ? label : 24);
  write_labels(labels);
  EXPECT_THAT(warnings(),
              ElementsAre(HasSubstr("classes 13, 14, 15, 16, 17, 18, 19, 20, 21, 22 and 1 more have")));
  write_labels({1, 200});
  EXPECT_THAT(warnings(), ElementsAre(AllOf(HasSubstr("most classes have no training sample (199 of 201"),
                                            HasSubstr("labels go up to 200"))));
}

TEST_F(StartWarnings, name_a_class_that_is_in_the_test_files_only) {
  test::LabelledImages images = test::class_structured_images(20, 4, 2);
  images.labels[3] = 4;
  test::write_idx_pair(dir_.path(), "t10k", images);
  EXPECT_THAT(warnings(), ElementsAre(HasSubstr("class 4 has no training sample")));
}

TEST_F(StartWarnings, name_a_class_that_validation_took_away) {
  write_labels({0, 1, 2, 3});
  config_.data.validation_samples = 199;
  EXPECT_THAT(warnings(), AllOf(Contains(HasSubstr("have no training sample")),
                                Contains(HasSubstr("all training samples are of class"))));
}

TEST_F(StartWarnings, name_a_single_class) {
  test::write_idx_dataset(dir_.path(), {.train_samples = 200, .test_samples = 20, .classes = 1});
  EXPECT_THAT(warnings(), ElementsAre(HasSubstr("all training samples are of class 0 (there is nothing")));
}

TEST_F(StartWarnings, name_pixels_that_are_not_normalised) {
  config_.data.mean = {0};
  config_.data.standard_deviation = {1};
  const std::vector<std::string> found = warnings();
  ASSERT_THAT(found,
              ElementsAre(AllOf(HasSubstr("the pixels are not normalised"), HasSubstr("data.mean = 0."))));
  // What it advises to do ends it.
  const auto number_after = [&](std::string_view key) {
    return std::stod(found.front().substr(found.front().find(key) + key.size()));
  };
  config_.data.mean = {number_after("data.mean = ")};
  config_.data.standard_deviation = {number_after("data.standard_deviation = ")};
  EXPECT_THAT(warnings(), IsEmpty());
  // In units of bytes, as other programs take them.
  config_.data.mean = {config_.data.mean[0] * 255};
  config_.data.standard_deviation = {config_.data.standard_deviation[0] * 255};
  EXPECT_THAT(warnings(), ElementsAre(HasSubstr("the pixels are not normalised")));
}

TEST_F(StartWarnings, look_at_the_pixels_of_each_channel) {
  test::write_cifar100(dir_.path(), 50, 20);
  config_.data.source = data::Source::cifar;
  config_.train.batch_size = 16;
  config_.data.mean = {0.5};
  config_.data.standard_deviation = {0.3};
  EXPECT_THAT(warnings(), testing::Not(Contains(HasSubstr("not normalised"))));
  config_.data.standard_deviation = {0.3, 0.3, 1};
  EXPECT_THAT(warnings(), Contains(HasSubstr("not normalised")));
}

TEST_F(StartWarnings, leave_made_up_samples_alone) {
  config_.data.source = data::Source::random;
  EXPECT_THAT(warnings(), IsEmpty());
  config_.data.source = data::Source::clusters;
  EXPECT_THAT(warnings(), IsEmpty());
}

TEST_F(StartWarnings, tf32_is_of_a_gpu) {
  config_.train.precision = nn::Precision::tf32;
  EXPECT_THAT(warnings(), ElementsAre(HasSubstr("train.precision = tf32 on a processor")));
  EXPECT_THAT(warnings(1, device::DeviceKind::cuda), IsEmpty());
}

}  // namespace
}  // namespace switchyard::run
