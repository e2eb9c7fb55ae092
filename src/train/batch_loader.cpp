#include "train/batch_loader.hpp"

namespace switchyard::train {

BatchLoader::BatchLoader(const config::Config& config, const data::Dataset& dataset,
                         comm::Communicator& communicator)
    : dataset_(&dataset),
      communicator_(&communicator),
      shards_(config.train.shards),
      batch_size_(config.train.batch_size),
      training_{dataset.size(data::Split::train), config.train.batch_size},
      sampler_(config.run.seed, dataset.size(data::Split::train)) {}

template <class SampleOf>
model::Batch BatchLoader::load(device::Context& context, data::Split split, index_t size,
                               const SampleOf& sample_of) {
  tiles_.set_sharded(*communicator_, size, shards_);
  const index_t rows = tiles_.local_rows();
  samples_.resize(static_cast<std::size_t>(rows));
  for (index_t n = 0; n < rows; ++n) samples_[static_cast<std::size_t>(n)] = sample_of(tiles_.first_row() + n);

  const index_t features = dataset_->shape().features();
  const tensor::Matrix images{context.workspace().allocate<float>(rows * features).data(), rows, features};
  const std::span<std::int32_t> labels = context.workspace().allocate<std::int32_t>(rows);
  context.pool().parallel_for(tiles_.local_count(), [&](index_t tile) {
    const IndexRange part = tiles_.rows(tile);
    const auto first = static_cast<std::size_t>(part.begin);
    const auto count = static_cast<std::size_t>(part.size());
    dataset_->fill(split, std::span<const index_t>(samples_).subspan(first, count),
                   images.rows_from(part.begin, part.size()), labels.subspan(first, count));
  });
  return {&tiles_, images, labels};
}

model::Batch BatchLoader::training_batch(device::Context& context, index_t step) {
  const data::Position position = training_.position_of(step);
  const IndexRange places = training_.places_of(position.batch);
  return load(context, data::Split::train, places.size(),
              [&](index_t place) { return sampler_.sample_at(position.epoch, places.begin + place); });
}

index_t BatchLoader::evaluation_batches(data::Split split) const {
  return data::Batching{dataset_->size(split), batch_size_}.batches_per_epoch();
}

model::Batch BatchLoader::evaluation_batch(device::Context& context, data::Split split, index_t batch) {
  const IndexRange places = data::Batching{dataset_->size(split), batch_size_}.places_of(batch);
  return load(context, split, places.size(), [&](index_t place) { return places.begin + place; });
}

}  // namespace switchyard::train
