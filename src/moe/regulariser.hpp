// The interface of a regulariser: what is added to the loss of a batch to keep experts in use, decided, or
// apart.
#pragma once

#include "base/span.hpp"
#include "moe/router.hpp"

namespace switchyard::moe {

// What regularisers read of this rank's samples, from measure() to complete(). What several of them read is
// computed once. Memory of the step.
class RoutedSamples {
 public:
  RoutedSamples(const nn::Pass& of_pass, const Router& of_router, const Routing& of_routing)
      : pass(of_pass), router(of_router), routing(of_routing) {}

  const nn::Pass& pass;
  const Router& router;
  const Routing& routing;  // lives as long as the batch

  // Of the full softmax over all experts, [N] each: ops::score_statistics().
  struct ScoreStatistics {
    Span<double> squared_log_sums;
    Span<double> entropies;
  };
  const ScoreStatistics& score_statistics();

 private:
  ScoreStatistics score_statistics_;
  bool has_score_statistics_ = false;
};

// Over the global batch, the same on every rank.
struct BatchSums {
  Span<const double> own;         // [width()], of add_shard()
  Span<const double> importance;  // [E], of gate weights
  index_t samples = 0;
};

// One batch at a time, in the order of the calls below.
class Regulariser {
 public:
  virtual ~Regulariser() = default;

  // Before shards are added. Local, but for a kind that says otherwise: then collective over the batch's ranks.
  virtual void measure(RoutedSamples& /*samples*/) {}
  // How many sums a shard has.
  virtual index_t width() const { return 0; }
  // Adds samples `rows` of this rank to sums[width()], in their order. Shards may be added at the same time.
  virtual void add_shard(device::Context&, IndexRange /*rows*/, Span<double> /*sums*/) const {}
  // Its weighted part of the loss.
  virtual double complete(const BatchSums& of) = 0;
  // Adds that part's gradient, in a training batch.
  virtual void add_gradient(device::Workspace&, RegulariserGradients& gradients) const = 0;
};

// sums += values, [E] each; empty sums are zero. Memory of the step, or `values` themselves.
void add_gradient(device::Workspace&, Span<const double>& sums, Span<const double> values);

}  // namespace switchyard::moe
