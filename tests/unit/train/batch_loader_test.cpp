#include "train/batch_loader.hpp"

#include <gtest/gtest.h>

#include <optional>
#include <vector>

#include "comm/local/local_communicator.hpp"
#include "comm/threads/thread_group.hpp"
#include "run/config.hpp"
#include "support/cifar_files.hpp"
#include "support/temporary_directory.hpp"

namespace switchyard::train {
namespace {

class BatchLoaderAugmentation : public testing::Test {
 protected:
  BatchLoaderAugmentation() {
    test::write_cifar100(dir_.path(), 50, 20);
    config_.run.seed = 9;
    config_.data.source = data::Source::cifar;
    config_.data.dir = dir_.path().string();
    config_.data.validation_samples = 10;
    config_.data.cifar.augment = data::Augmentation::flip_crop;
    config_.train.batch_size = 16;  // two whole batches and one of 8
    config_.train.shards = 4;
  }

  // The batch's rows are those samples, visited so.
  static void expect_rows(const data::Dataset& dataset, const nn::Batch& batch, data::Split split,
                          const std::optional<data::Visit>& visit) {
    const index_t features = dataset.shape().features();
    const auto count = static_cast<index_t>(batch.ids.size());
    std::vector<float> expected(static_cast<std::size_t>(count * features));
    dataset.fill(split, batch.ids, {expected.data(), count, features}, visit);
    for (index_t n = 0; n < count; ++n) {
      for (index_t f = 0; f < features; ++f)
        ASSERT_EQ(batch.rows.row(n)[f], expected[static_cast<std::size_t>(n * features + f)]);
    }
  }

  test::TemporaryDirectory dir_;
  run::Config config_;
};

TEST_F(BatchLoaderAugmentation, is_that_of_the_seed_the_epoch_and_the_sample) {
  const data::Dataset dataset = data::load_dataset(config_.data, config_.run.seed);
  for (const int ranks : {1, 3}) {
    comm::run_ranks(ranks, [&](comm::Communicator& communicator) {
      device::Context context(1);
      BatchLoader loader(config_.train, config_.run.seed, dataset, {communicator, context});
      for (index_t step = 0; step < 9; ++step) {
        context.workspace().reset();
        expect_rows(dataset, loader.training_batch(step), data::Split::train, data::Visit{9, step / 3});
      }
    });
  }
}

TEST_F(BatchLoaderAugmentation, is_for_training_only) {
  const data::Dataset dataset = data::load_dataset(config_.data, config_.run.seed);
  comm::LocalCommunicator communicator;
  device::Context context(1);
  BatchLoader loader(config_.train, config_.run.seed, dataset, {communicator, context});
  for (const data::Split split : {data::Split::train, data::Split::validation, data::Split::test}) {
    for (index_t batch = 0; batch < loader.evaluation_batches(split); ++batch) {
      context.workspace().reset();
      expect_rows(dataset, loader.evaluation_batch(split, batch), split, std::nullopt);
    }
  }
}

}  // namespace
}  // namespace switchyard::train
