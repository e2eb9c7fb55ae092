#include "train/batch_loader.hpp"

#include <gtest/gtest.h>

#include <map>
#include <optional>
#include <vector>

#include "comm/host_data_plane.hpp"
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
    config_.data.augment = "flip crop:4";
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
      comm::HostDataPlane data_plane(communicator);
      device::Context context(1);
      BatchLoader loader(config_.train, config_.run.seed, dataset, {communicator, data_plane, context});
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
  comm::HostDataPlane data_plane(communicator);
  device::Context context(1);
  BatchLoader loader(config_.train, config_.run.seed, dataset, {communicator, data_plane, context});
  for (const data::Split split : {data::Split::train, data::Split::validation, data::Split::test}) {
    for (index_t batch = 0; batch < loader.evaluation_batches(split); ++batch) {
      context.workspace().reset();
      expect_rows(dataset, loader.evaluation_batch(split, batch), split, std::nullopt);
    }
  }
}

constexpr index_t no_limit = index_t{1} << 40;
constexpr index_t sample_bytes = 3072 * 4;

class BatchLoaderHeld : public BatchLoaderAugmentation {
 protected:
  BatchLoaderHeld() {
    config_.data.augment = "none";
    config_.data.mean = {0.5, 0.25, 0.1};
    config_.data.standard_deviation = {0.3, 0.2, 0.1};
    config_.train.epochs = 4;
  }

  index_t held_bytes(int ranks, index_t most_bytes) const {
    const data::Dataset dataset = data::load_dataset(config_.data, config_.run.seed);
    index_t bytes = -1;
    comm::run_ranks(ranks, [&](comm::Communicator& communicator) {
      comm::HostDataPlane data_plane(communicator);
      device::Context context(1);
      BatchLoader loader(config_.train, config_.run.seed, dataset, {communicator, data_plane, context});
      loader.hold_samples(most_bytes);
      if (communicator.is_root()) bytes = loader.held_bytes();
    });
    return bytes;
  }
};

// In the epoch that makes them and in those that find them; evaluation in between makes what training has not.
TEST_F(BatchLoaderHeld, gives_the_floats_that_are_made_for_a_batch) {
  const data::Dataset dataset = data::load_dataset(config_.data, config_.run.seed);
  for (const int ranks : {1, 3}) {
    for (const int threads : {1, 2}) {
      comm::run_ranks(ranks, [&](comm::Communicator& communicator) {
        comm::HostDataPlane data_plane(communicator);
        device::Context context(threads);
        BatchLoader loader(config_.train, config_.run.seed, dataset, {communicator, data_plane, context});
        loader.hold_samples(no_limit);
        for (index_t step = 0; step < 9; ++step) {
          context.workspace().reset();
          expect_rows(dataset, loader.training_batch(step), data::Split::train, std::nullopt);
          if (step % 4 != 0) continue;
          for (const data::Split split : {data::Split::train, data::Split::validation, data::Split::test}) {
            for (index_t batch = 0; batch < loader.evaluation_batches(split); ++batch) {
              context.workspace().reset();
              expect_rows(dataset, loader.evaluation_batch(split, batch), split, std::nullopt);
            }
          }
        }
      });
    }
  }
}

TEST_F(BatchLoaderHeld, reads_them_in_place_and_takes_no_memory_of_the_step) {
  const data::Dataset dataset = data::load_dataset(config_.data, config_.run.seed);
  comm::LocalCommunicator communicator;
  comm::HostDataPlane data_plane(communicator);
  device::Context context(1);
  BatchLoader loader(config_.train, config_.run.seed, dataset, {communicator, data_plane, context});
  loader.hold_samples(no_limit);
  const nn::Batch first = loader.training_batch(0);
  std::map<index_t, const float*> places;
  for (std::size_t n = 0; n < first.ids.size(); ++n)
    places[first.ids[n]] = first.rows.row(static_cast<index_t>(n));
  std::size_t found = 0;
  for (const index_t step : {3, 4, 5}) {  // the next epoch
    context.workspace().reset();
    const nn::Batch batch = loader.training_batch(step);
    for (std::size_t n = 0; n < batch.ids.size(); ++n) {
      const auto place = places.find(batch.ids[n]);
      if (place == places.end()) continue;
      EXPECT_EQ(batch.rows.row(static_cast<index_t>(n)), place->second);
      ++found;
    }
  }
  EXPECT_EQ(found, first.ids.size());
}

TEST_F(BatchLoaderHeld, takes_what_it_may_and_what_comes_again) {
  EXPECT_EQ(held_bytes(1, no_limit), 50 * sample_bytes) << "training and validation";
  EXPECT_EQ(held_bytes(1, 50 * sample_bytes), 50 * sample_bytes);
  EXPECT_EQ(held_bytes(1, 50 * sample_bytes - 1), 40 * sample_bytes) << "training alone";
  EXPECT_EQ(held_bytes(1, 40 * sample_bytes - 1), 10 * sample_bytes) << "validation alone";
  EXPECT_EQ(held_bytes(1, 10 * sample_bytes - 1), 0);
  EXPECT_EQ(held_bytes(3, no_limit), 50 * sample_bytes);
  EXPECT_EQ(held_bytes(4, no_limit), 10 * sample_bytes) << "a rank has a training sample once in four epochs";
  config_.data.augment = "flip crop:4";
  EXPECT_EQ(held_bytes(1, no_limit), 10 * sample_bytes) << "training samples change";
}

}  // namespace
}  // namespace switchyard::train
