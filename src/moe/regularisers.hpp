// The regularisers of a mixture layer: the table of their kinds, and those that a configuration turns on.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "moe/regulariser.hpp"

namespace switchyard::moe {

// One kind: a row of regularisers/table.hpp that has a loss.
struct RegulariserKind {
  std::string_view loss;                                 // the name of its part of the loss in metrics.jsonl
  std::unique_ptr<Regulariser> (*make)(const Options&);  // null where its weight is 0
};
// In the order in which losses are added up and listed.
Span<const RegulariserKind> regulariser_kinds();

// All that a configuration turns on, over one batch at a time: measure() this rank's samples, add_shards(),
// complete() with the sums over all shards of all ranks. Losses and gradients are then those of the global
// batch, the same on every rank, and memory of the step.
class Regularisers {
 public:
  explicit Regularisers(const Options& options);

  // Collective over the batch's ranks if samples are compared with each other.
  void measure(const nn::Pass& pass, const Router& router, const Routing& routing);
  // How many sums a shard has.
  index_t width() const { return width_; }
  // Adds this rank's samples to sums of its shards, [shards, width()], in order; `figures` are to be added,
  // too.
  void add_shards(device::Context& context, const ops::TileSums& sums, ops::RowFigures& figures) const;
  // sums: [width()] and importance: [E] over the global batch of `samples`, `share` of the step's. Adds what
  // each kind adds to the loss, weighted, to losses: one of each kind, of which those that are off stay.
  struct Of {
    Span<const double> sums, importance;
    index_t samples = 0;
    double share = 1;
  };
  void complete(device::Context& context, const Of& of, Span<double> losses);
  RegulariserGradients gradients() const;
  bool any() const { return !in_use_.empty(); }

 private:
  struct InUse {
    std::unique_ptr<Regulariser> regulariser;
    std::size_t kind;   // its row
    index_t first_sum;  // its place in a shard's sums
  };
  std::vector<InUse> in_use_;
  index_t width_ = 0;
};

}  // namespace switchyard::moe
