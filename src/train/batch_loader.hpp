// This rank's share of a batch, ready for the model.
#pragma once

#include <array>
#include <exception>
#include <optional>
#include <vector>

#include "base/span.hpp"
#include "comm/resources.hpp"
#include "data/batches.hpp"
#include "data/dataset.hpp"
#include "data/permutation.hpp"
#include "device/transfer.hpp"
#include "model/model.hpp"
#include "train/held_samples.hpp"
#include "train/options.hpp"

namespace switchyard::train {

model::Task task_of(const data::Dataset& dataset);

// Local: which samples a rank works on is a pure function of (seed, step, ranks). Batches lie in the memory of
// the context: the step's workspace, or, on a CPU, where samples are held. A GPU gets all of a batch in one
// copy, which is enqueued.
class BatchLoader {
 public:
  // `seed`: of the order of samples and of what is drawn for each visit.
  BatchLoader(const Options& options, std::uint64_t seed, const data::Dataset& dataset,
              comm::Resources resources);

  // Of samples that are made anew for each batch, keeps as floats the splits that come again, training before
  // validation, as far as they take no more than that. Local.
  void hold_samples(index_t most_bytes);
  // What is kept takes so much once all samples were used.
  index_t held_bytes() const;

  // A batch whose samples cannot be read (a file that is changed) is of zeros, so that this rank comes to where
  // the others wait: whoever asked for it then calls expect_loaded() on all ranks that know of it, which throws
  // the DataError where there is one.
  bool has_failed() const { return failure_ != nullptr; }
  void expect_loaded() const {
    if (failure_) std::rethrow_exception(failure_);
  }

  const data::Batching& training() const { return training_; }
  const data::Dataset& dataset() const { return *dataset_; }
  // Part `part` of the batch of training step `step` (both from 0), samples in the order of its epoch. A batch
  // has train.parts, or as many as samples.
  nn::Batch training_batch(index_t step, index_t part = 0);
  index_t parts_of(index_t step) const;
  // Batch `batch` of a split in the order of its files.
  index_t evaluation_batches(data::Split split) const;
  nn::Batch evaluation_batch(data::Split split, index_t batch);

 private:
  // fill(place, samples) says which samples the places of the global batch from there on hold.
  template <class Fill>
  nn::Batch load(data::Split split, index_t size, const std::optional<data::Visit>& visit, const Fill& fill);
  void load_tokens(data::Split split, nn::Batch& loaded);
  void load_truth(data::Split split, nn::Batch& loaded);
  HeldSamples* held_of(data::Split split);  // null where none are
  const float* all_rows(data::Split split);
  bool is_on_gpu() const { return resources_.context.memory() == device::MemoryKind::device; }
  Span<const index_t> ids();
  tensor::RowSource rows_among(const float* all, data::Split split);
  void fill_rows(const float* all, data::Split split, const std::optional<data::Visit>& visit,
                 tensor::Matrix rows);
  tensor::RowSource rows_of(data::Split split, const std::optional<data::Visit>& visit);

  const data::Dataset* dataset_;
  comm::Resources resources_;
  index_t shards_;
  index_t parts_;
  index_t
      evaluation_size_;  // of a batch: no larger than a part of training's, which says what fits into memory
  std::uint64_t seed_;
  data::Batching training_;
  data::Permutation sampler_;  // variant: the epoch
  SampleOrder order_;
  index_t epochs_;
  std::array<HeldSamples, 2> held_;  // training, validation
  nn::BatchTiles tiles_;
  device::Upload upload_;
  Vector<index_t> samples_;
  std::exception_ptr failure_;
};

}  // namespace switchyard::train
