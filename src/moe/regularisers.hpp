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

// All that a configuration turns on, over one batch at a time: measure() this rank's samples, add_shard() for
// each of its shards, complete() with the sums over all shards of all ranks. Losses and gradients are then
// those of the global batch, the same on every rank. What measure() leaves is memory of the step.
class Regularisers {
 public:
  explicit Regularisers(const Options& options);

  // Collective over the batch's ranks if samples are compared with each other.
  void measure(const nn::Pass& pass, const Router& router, const Routing& routing);
  // How many sums a shard has.
  index_t width() const { return width_; }
  // Adds samples `rows` of this rank to sums[width()], in order. Shards may be added at the same time.
  void add_shard(device::Context& context, IndexRange rows, Span<double> sums) const;
  // sums: [width()] and importance: [E] over the global batch of `samples`.
  void complete(Span<const double> sums, Span<const double> importance, index_t samples);

  // What each kind adds to the loss of the batch, weighted; 0 where it is off.
  const Vector<double>& losses() const { return losses_; }
  RegulariserGradients gradients(device::Workspace& workspace) const;

 private:
  struct InUse {
    std::unique_ptr<Regulariser> regulariser;
    std::size_t kind;   // its row
    index_t first_sum;  // its place in a shard's sums
  };
  std::vector<InUse> in_use_;
  index_t width_ = 0;
  Vector<double> losses_;
};

}  // namespace switchyard::moe
