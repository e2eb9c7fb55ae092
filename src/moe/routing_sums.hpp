// What is summed over the rows that a mixture layer routes: its statistics, and its regularisers.
#pragma once

#include "base/span.hpp"
#include "moe/layer.hpp"
#include "moe/regularisers.hpp"
#include "moe/routing_statistics.hpp"

namespace switchyard::moe {

// One batch at a time: measure(), then add_shard() for each shard into the model's nn::ShardSums, then
// complete() with the sums over all ranks.
class RoutingSums {
 public:
  explicit RoutingSums(const Options& options) : experts_(options.experts), regularisers_(options) {}

  // Collective over the batch's ranks if samples are compared with each other.
  void measure(const nn::Pass& pass, const Router& router, const Routing& routing);
  // How many sums a shard has.
  index_t width() const { return Columns::importance + experts_ + regularisers_.width(); }
  // Adds `rows` of this rank, in order, to sums[width()]. Shards may be added at the same time.
  void add_shard(device::Context& context, IndexRange rows, Span<double> sums) const;
  // sums: [width()] over the global batch of `rows` rows.
  void complete(Span<const double> sums, index_t rows, RoutingStatistics& statistics);

  // Whether every score of the global batch was finite.
  bool all_finite() const { return all_finite_; }
  // Of the global batch, in the order of regulariser_kinds(); and what they add to the router's gradient.
  const Vector<double>& regulariser_losses() const { return regularisers_.losses(); }
  RegulariserGradients regulariser_gradients(const nn::Pass& pass) const;

 private:
  // Of a shard's sums; those of the regularisers follow.
  struct Columns {
    enum : index_t { bad_scores, entropy, chosen_entropy, importance };
  };

  index_t experts_;
  Regularisers regularisers_;
  bool all_finite_ = true;
  // Of the batch; memory of the step. Entropies are in bits; empty: zero.
  const Routing* routing_ = nullptr;
  Span<const double> score_entropies_;   // of the softmax over all experts
  Span<const double> weight_entropies_;  // of the weights over the chosen ones
};

// This rank's counts of what a layer did: rows, load, groups. use(row, slot, expert) of the slot with the
// largest weight, where a model counts more.
void count_choices(const nn::Batch& batch, const DispatchPlan& plan, const Routing& routing,
                   RoutingStatistics& statistics, const auto& use) {
  statistics.rows() += routing.samples;
  statistics.sent_rows() += plan.sent_rows();
  statistics.is_limited = routing.is_limited;
  statistics.dropped() += std::ssize(plan.dropped_slot());
  for (index_t n = 0; n < routing.samples; ++n) {
    index_t chosen = 0;
    for (index_t i = 0; i < routing.slots; ++i) {
      ++statistics.load(routing.experts[n * routing.slots + i]);
      if (routing.log_weights(n, i) > routing.log_weights(n, chosen)) chosen = i;
    }
    const index_t slot = n * routing.slots + chosen;
    const index_t expert = routing.experts[slot];
    if (!batch.groups.empty() || statistics.classes() == 0)
      ++statistics.by_group(batch.groups.empty() ? 0 : batch.groups[n], expert);
    use(n, slot, expert);
  }
}

}  // namespace switchyard::moe
