// The interface of a regulariser: what is added to the loss of a batch to keep experts in use, decided, or
// apart.
#pragma once

#include "base/span.hpp"
#include "moe/router.hpp"
#include "ops/moe/regularisers.hpp"
#include "ops/tile_sums.hpp"

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
  // The full softmax over all experts: [N, E].
  tensor::ConstMatrix probabilities();

 private:
  ScoreStatistics score_statistics_;
  bool has_score_statistics_ = false;
  tensor::Matrix probabilities_;
};

// Over the global batch, the same on every rank, in the memory of the context.
struct BatchSums {
  Span<const double> own;         // [width()], of add_shards()
  Span<const double> importance;  // [E], of gate weights
  index_t samples = 0;
  double share = 1;        // of these samples in the step's batch, which gradients count by
  double* loss = nullptr;  // to which a weighted part of the loss is added
};

// One batch at a time, in the order of the calls below.
class Regulariser {
 public:
  virtual ~Regulariser() = default;

  // Before shards are added. Local, but for a kind that says otherwise: then collective over the batch's ranks.
  virtual void measure(RoutedSamples& /*samples*/) {}
  // How many sums a shard has.
  virtual index_t width() const { return 0; }
  // Adds this rank's samples to sums of their shards, [shards, width()], in their order; figures of samples are
  // the caller's to add, with its own.
  virtual void add_shards(device::Context&, const ops::TileSums& /*sums*/, ops::RowFigures& /*figures*/) const {
  }
  // Adds its weighted part of the loss to *of.loss, and leaves its gradient in the step's memory.
  virtual void complete(device::Context&, const BatchSums& of) = 0;
  // Adds that gradient, in a training batch.
  virtual void add_gradient(RegulariserGradients& gradients) const = 0;
};

}  // namespace switchyard::moe
