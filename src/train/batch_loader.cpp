#include "train/batch_loader.hpp"

#include <algorithm>
#include <numeric>

#include "base/error.hpp"
#include "device/thread_pool.hpp"

namespace switchyard::train {

BatchLoader::BatchLoader(const Options& options, std::uint64_t seed, const data::Dataset& dataset,
                         comm::Resources resources)
    : dataset_(&dataset),
      resources_(resources),
      shards_(options.shards),
      parts_(options.parts),
      evaluation_size_((options.batch_size + options.parts - 1) / options.parts),
      seed_(seed),
      training_{dataset.size(data::Split::train), options.batch_size},
      sampler_(dataset.size(data::Split::train), seed, RandomUse::sampler),
      order_(options.order),
      epochs_(options.epochs) {}

model::Task task_of(const data::Dataset& dataset) {
  model::Task task{.sample = dataset.shape(),
                   .classes = dataset.class_count(),
                   .groups = dataset.group_count(),
                   .names = std::make_shared<const moe::Statistics::Names>(
                       moe::Statistics::Names{dataset.class_names(), dataset.group_names()}),
                   .window = dataset.window(),
                   .targets = dataset.target_count()};
  const data::Normalisation* const scales = dataset.target_scales();
  task.target_units =
      scales != nullptr ? scales->standard_deviation : std::vector<double>(as_size(task.targets), 1.0);
  return task;
}

void BatchLoader::hold_samples(index_t most_bytes) {
  if (dataset_->window() > 0) return;
  for (const data::Split split : {data::Split::train, data::Split::validation}) {
    const index_t bytes = HeldSamples::bytes_of(*dataset_, split);
    // A rank has each validation sample of its own after every epoch, but one of training, on an average, in
    // one epoch of as many as there are ranks.
    const bool comes_again = split == data::Split::validation || epochs_ > resources_.communicator.size();
    if (bytes == 0 || bytes > most_bytes || !comes_again || dataset_->rows(split) != nullptr ||
        dataset_->is_augmented(split)) {
      continue;
    }
    try {
      held_[as_size(split)] = HeldSamples(*dataset_, split);
      most_bytes -= bytes;
    } catch (const OutOfMemory&) {  // nobody asked for it: batches are made without
    }
  }
}

index_t BatchLoader::held_bytes() const { return held_[0].bytes() + held_[1].bytes(); }

HeldSamples* BatchLoader::held_of(data::Split split) {
  return as_size(split) < held_.size() && held_[as_size(split)] ? &held_[as_size(split)] : nullptr;
}

// All samples of the split side by side, of which at least samples_ are there; null where none are held.
const float* BatchLoader::all_rows(data::Split split) {
  if (const float* const rows = dataset_->rows(split)) return rows;
  HeldSamples* const held = held_of(split);
  if (held == nullptr) return nullptr;
  try {
    resources_.context.pool().parallel_for(tiles_.local_count(), [&](index_t tile) {
      const IndexRange part = tiles_.rows(tile);
      held->make(Span<const index_t>(samples_).subspan(part.begin, part.size()));
    });
  } catch (const DataError&) {
    failure_ = std::current_exception();
    return nullptr;
  }
  return held->rows();
}

// samples_ among all rows of the split, where they lie.
tensor::RowSource BatchLoader::rows_among(const float* all, data::Split split) {
  const auto count = std::ssize(samples_);
  const index_t features = dataset_->shape().features();
  const bool neighbours =
      count == 0 || (samples_.back() - samples_.front() == count - 1 && std::ranges::is_sorted(samples_));
  if (neighbours) {
    return tensor::ConstMatrix{all + (count == 0 ? 0 : samples_.front()) * features, count, features};
  }
  const Span<std::int32_t> index = resources_.context.workspace().allocate<std::int32_t>(count);
  for (std::size_t n = 0; n < samples_.size(); ++n) index[n] = static_cast<std::int32_t>(samples_[n]);
  return tensor::RowSource(index.data(), count, tensor::ConstMatrix(all, dataset_->size(split), features));
}

// samples_ as rows side by side: from `all` rows of the split, or, where that is null, made.
void BatchLoader::fill_rows(const float* all, data::Split split, const std::optional<data::Visit>& visit,
                            tensor::Matrix rows) {
  resources_.context.pool().parallel_for(tiles_.local_count(), [&](index_t tile) {
    const IndexRange part = tiles_.rows(tile);
    const auto samples = Span<const index_t>(samples_).subspan(part.begin, part.size());
    if (all == nullptr) return dataset_->fill(split, samples, rows.rows_from(part), visit);
    for (index_t n = 0; n < part.size(); ++n)
      std::copy_n(all + samples[n] * rows.cols, rows.cols, rows.row(part.begin + n));
  });
}

// samples_ as rows: where they lie if they are held as floats and the context reads the host's memory, else in
// the step's memory.
tensor::RowSource BatchLoader::rows_of(data::Split split, const std::optional<data::Visit>& visit) {
  const auto count = std::ssize(samples_);
  const index_t features = dataset_->shape().features();
  const float* const all = all_rows(split);
  if (all != nullptr && !is_on_gpu()) return rows_among(all, split);
  const device::Placed<float> rows = upload_.allocate<float>(count * features);
  try {
    if (!failure_) fill_rows(all, split, visit, {rows.host.data(), count, features});
  } catch (const DataError&) {
    failure_ = std::current_exception();
  }
  if (failure_) std::ranges::fill(rows.host, 0.0f);
  return tensor::ConstMatrix{rows.device.data(), count, features};
}

// A row for each token of samples_.
void BatchLoader::load_tokens(data::Split split, nn::Batch& loaded) {
  const index_t window = dataset_->window();
  const index_t rows = std::ssize(samples_) * window;
  const auto tokens = upload_.allocate<std::int32_t>(rows);
  const auto targets = upload_.allocate<std::int32_t>(rows);
  const auto groups = upload_.allocate<std::int32_t>(rows);
  const auto ids = upload_.allocate<index_t>(rows);
  const auto document_begin = upload_.allocate<std::int32_t>(rows);
  const Span<std::int32_t> group_of_sample =
      resources_.context.host_workspace().allocate<std::int32_t>(std::ssize(samples_));
  dataset_->fill_tokens(split, samples_, tokens.host, targets.host);
  dataset_->fill_groups(split, samples_, group_of_sample);
  const std::int32_t end = dataset_->end_of_document();
  for (index_t row = 0; row < rows; ++row) {
    const index_t place = row % window;
    const bool is_first = place > 0 && tokens.host[row - 1] == end;
    document_begin.host[row] = place == 0 ? 0
                               : is_first ? static_cast<std::int32_t>(place)
                                          : document_begin.host[row - 1];
    groups.host[row] = group_of_sample[row / window];
    ids.host[row] = samples_[row / window] * window + place;
  }
  loaded.tokens = tokens.device;
  loaded.labels = targets.device;
  loaded.groups = groups.device;
  loaded.ids = ids.device;
  loaded.document_begin = document_begin.device;
}

template <class Fill>
nn::Batch BatchLoader::load(data::Split split, index_t size, const std::optional<data::Visit>& visit,
                            const Fill& fill) {
  const index_t window = dataset_->window();
  const index_t rows_per_sample = std::max<index_t>(window, 1);
  tiles_.set_sharded(resources_.data_plane, size, shards_, rows_per_sample);
  const index_t first = tiles_.first_row() / rows_per_sample;
  const index_t samples = tiles_.local_rows() / rows_per_sample;
  samples_.resize(samples);
  fill(first, Span<index_t>(samples_));

  nn::Batch loaded;
  loaded.tiles = &tiles_;
  upload_.begin(resources_.context);
  if (window > 0) {
    load_tokens(split, loaded);
  } else {
    loaded.rows = rows_of(split, visit);
    loaded.ids = ids();
    load_truth(split, loaded);
  }
  upload_.send();
  tiles_.place(resources_.context);
  return loaded;
}

Span<const index_t> BatchLoader::ids() {
  if (!is_on_gpu()) return samples_;
  const device::Placed<index_t> ids = upload_.allocate<index_t>(std::ssize(samples_));
  std::ranges::copy(samples_, ids.host.begin());
  return ids.device;
}

// What is known of samples_ besides their rows.
void BatchLoader::load_truth(data::Split split, nn::Batch& loaded) {
  const auto samples = std::ssize(samples_);
  if (const index_t count = dataset_->target_count(); count > 0) {
    const auto targets = upload_.allocate<float>(samples * count);
    dataset_->fill_targets(split, samples_, {targets.host.data(), samples, count});
    loaded.targets = {targets.device.data(), samples, count};
  } else {
    const auto labels = upload_.allocate<std::int32_t>(samples);
    if (const HeldSamples* const held = held_of(split); held != nullptr && !failure_) {
      for (index_t n = 0; n < samples; ++n) labels.host[n] = held->label(samples_[n]);
    } else {
      dataset_->fill_labels(split, samples_, labels.host);
    }
    loaded.labels = labels.device;
  }
  if (split == data::Split::train && dataset_->has_weights(split)) {
    const auto weights = upload_.allocate<float>(samples);
    dataset_->fill_weights(samples_, weights.host);
    loaded.weights = weights.device;
  }
  if (dataset_->group_count() > 0) {
    const auto groups = upload_.allocate<std::int32_t>(samples);
    dataset_->fill_groups(split, samples_, groups.host);
    loaded.groups = groups.device;
  }
}

index_t BatchLoader::parts_of(index_t step) const {
  return std::min(parts_, training_.places_of(training_.position_of(step).batch).size());
}

nn::Batch BatchLoader::training_batch(index_t step, index_t part) {
  const data::Position position = training_.position_of(step);
  const IndexRange whole = training_.places_of(position.batch);
  const IndexRange of_whole = partition(whole.size(), parts_of(step), part);
  const IndexRange places{whole.begin + of_whole.begin, whole.begin + of_whole.end};
  const data::Visit visit{seed_, position.epoch};
  nn::Batch batch = load(data::Split::train, places.size(), visit, [&](index_t place, Span<index_t> samples) {
    const index_t position_in_epoch = places.begin + place;
    if (order_ == SampleOrder::fixed)
      std::iota(samples.begin(), samples.end(), position_in_epoch);
    else
      sampler_.fill(position.epoch, position_in_epoch, samples);
  });
  batch.step = static_cast<std::uint32_t>(step);
  batch.share = static_cast<double>(places.size()) / static_cast<double>(whole.size());
  batch.is_first_part = part == 0;
  return batch;
}

index_t BatchLoader::evaluation_batches(data::Split split) const {
  const index_t samples = dataset_->size(split);
  return samples == 0 ? 0 : data::Batching{samples, evaluation_size_}.batches_per_epoch();
}

nn::Batch BatchLoader::evaluation_batch(data::Split split, index_t batch) {
  const IndexRange places = data::Batching{dataset_->size(split), evaluation_size_}.places_of(batch);
  nn::Batch loaded = load(split, places.size(), std::nullopt, [&](index_t place, Span<index_t> samples) {
    std::iota(samples.begin(), samples.end(), places.begin + place);
  });
  // A training sample keeps the noise that it is trained with, where that is drawn once.
  loaded.stream = split == data::Split::train ? 0 : static_cast<std::uint32_t>(split);
  return loaded;
}

}  // namespace switchyard::train
