// The model on a whole split, without learning.
#pragma once

#include <optional>

#include "train/batch_loader.hpp"

namespace switchyard::train {

// The figures of batches that are no training steps, in the memory of a context: zeros at first.
class Figures {
 public:
  Figures(const model::Model& model, device::MemoryKind memory);

  // For Model::forward(), which adds a batch's.
  moe::BatchFigures all() { return {sums_.span(), counts_.span()}; }
  // With the counts of this rank. Waits. Throws NumericError on all ranks alike if a loss or a score of a gate
  // was not finite.
  moe::Statistics read(const model::Model& model, device::Context& context) const;

 private:
  device::Buffer<double> sums_;
  device::Buffer<std::int64_t> counts_;
};

// Exact over the split, whatever the batch size and the ranks; nothing if a rank was asked to stop meanwhile
// (base/stop_signals.hpp). Collective.
std::optional<moe::Statistics> evaluate(data::Split split, BatchLoader& loader, model::Model& model,
                                        comm::Resources resources);

std::string_view name(data::Split split);

}  // namespace switchyard::train
