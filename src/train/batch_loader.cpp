#include "train/batch_loader.hpp"

#include <algorithm>
#include <numeric>

#include "base/error.hpp"
#include "device/thread_pool.hpp"
#include "tensor/tensor.hpp"

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
                   .group_names = dataset.group_names(),
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

// samples_ as rows: where they lie if they are held as floats, else made in the step's memory.
tensor::RowSource BatchLoader::rows_of(data::Split split, const std::optional<data::Visit>& visit) {
  const auto count = std::ssize(samples_);
  const index_t features = dataset_->shape().features();
  const auto zeros = [&] {
    const Span<float> rows = resources_.context.workspace().allocate<float>(count * features);
    std::ranges::fill(rows, 0.0f);
    return tensor::ConstMatrix{rows.data(), count, features};
  };
  if (const float* const all = all_rows(split)) {
    const bool neighbours =
        count == 0 || (samples_.back() - samples_.front() == count - 1 && std::ranges::is_sorted(samples_));
    if (neighbours) {
      return tensor::ConstMatrix{all + (count == 0 ? 0 : samples_.front()) * features, count, features};
    }
    const Span<std::int32_t> index = resources_.context.workspace().allocate<std::int32_t>(count);
    for (std::size_t n = 0; n < samples_.size(); ++n) index[n] = static_cast<std::int32_t>(samples_[n]);
    return tensor::RowSource(index.data(), count, tensor::ConstMatrix(all, dataset_->size(split), features));
  }
  if (failure_) return zeros();
  const tensor::Matrix rows{resources_.context.workspace().allocate<float>(count * features).data(), count,
                            features};
  try {
    resources_.context.pool().parallel_for(tiles_.local_count(), [&](index_t tile) {
      const IndexRange part = tiles_.rows(tile);
      dataset_->fill(split, Span<const index_t>(samples_).subspan(part.begin, part.size()),
                     rows.rows_from(part), visit);
    });
  } catch (const DataError&) {
    failure_ = std::current_exception();
    return zeros();
  }
  return tensor::ConstMatrix(rows);
}

// A row for each token of samples_.
void BatchLoader::load_tokens(data::Split split, nn::Batch& loaded) {
  device::Workspace& workspace = resources_.context.workspace();
  const index_t window = dataset_->window();
  const index_t rows = std::ssize(samples_) * window;
  const Span<std::int32_t> tokens = workspace.allocate<std::int32_t>(rows);
  const Span<std::int32_t> targets = workspace.allocate<std::int32_t>(rows);
  const Span<std::int32_t> groups = workspace.allocate<std::int32_t>(rows);
  const Span<std::int32_t> group_of_sample = workspace.allocate<std::int32_t>(std::ssize(samples_));
  const Span<index_t> ids = workspace.allocate<index_t>(rows);
  const Span<std::int32_t> document_begin = workspace.allocate<std::int32_t>(rows);
  dataset_->fill_tokens(split, samples_, tokens, targets);
  dataset_->fill_groups(split, samples_, group_of_sample);
  const std::int32_t end = dataset_->end_of_document();
  for (index_t row = 0; row < rows; ++row) {
    const index_t place = row % window;
    const bool is_first = place > 0 && tokens[row - 1] == end;
    document_begin[row] = place == 0 ? 0
                          : is_first ? static_cast<std::int32_t>(place)
                                     : document_begin[row - 1];
    groups[row] = group_of_sample[row / window];
    ids[row] = samples_[row / window] * window + place;
  }
  loaded.tokens = tokens;
  loaded.labels = targets;
  loaded.groups = groups;
  loaded.ids = ids;
  loaded.document_begin = document_begin;
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
  if (window > 0) {
    load_tokens(split, loaded);
    return loaded;
  }
  loaded.rows = rows_of(split, visit);
  loaded.ids = samples_;
  load_truth(split, loaded);
  return loaded;
}

// What is known of samples_ besides their rows.
void BatchLoader::load_truth(data::Split split, nn::Batch& loaded) {
  device::Workspace& workspace = resources_.context.workspace();
  const auto samples = std::ssize(samples_);
  if (const index_t count = dataset_->target_count(); count > 0) {
    const tensor::Matrix targets = tensor::allocate_matrix(workspace, samples, count);
    dataset_->fill_targets(split, samples_, targets);
    loaded.targets = targets;
  } else {
    const Span<std::int32_t> labels = workspace.allocate<std::int32_t>(samples);
    if (const HeldSamples* const held = held_of(split); held != nullptr && !failure_) {
      for (index_t n = 0; n < samples; ++n) labels[n] = held->label(samples_[n]);
    } else {
      dataset_->fill_labels(split, samples_, labels);
    }
    loaded.labels = labels;
  }
  if (split == data::Split::train && dataset_->has_weights(split)) {
    const Span<float> weights = workspace.allocate<float>(samples);
    dataset_->fill_weights(samples_, weights);
    loaded.weights = weights;
  }
  if (dataset_->group_count() > 0) {
    const Span<std::int32_t> groups = workspace.allocate<std::int32_t>(samples);
    dataset_->fill_groups(split, samples_, groups);
    loaded.groups = groups;
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
