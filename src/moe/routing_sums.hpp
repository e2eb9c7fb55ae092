// What is summed over the rows that a mixture layer routes: its statistics, and its regularisers.
#pragma once

#include "base/span.hpp"
#include "moe/layer.hpp"
#include "moe/regularisers.hpp"
#include "moe/routing_statistics.hpp"
#include "ops/moe/counts.hpp"

namespace switchyard::moe {

// One batch at a time: measure(), then add_shards() into the model's nn::ShardSums, then complete() with the
// sums over all ranks. Sums lie in the memory of the context, and are the host's to read() when it has them.
class RoutingSums {
 public:
  explicit RoutingSums(const Options& options) : experts_(options.experts), regularisers_(options) {}

  // Collective over the batch's ranks if samples are compared with each other.
  void measure(const nn::Pass& pass, const Router& router, const Routing& routing);
  // How many sums a shard has.
  index_t width() const { return Columns::importance + experts_ + regularisers_.width(); }
  // Adds this rank's rows, in order, to sums of their shards, [shards, width()]; `figures` are to be added,
  // too.
  void add_shards(device::Context& context, const ops::TileSums& sums, ops::RowFigures& figures) const;
  // sums: [width()] over the global batch of `rows` rows, `share` of the step's. Adds to losses, which are in
  // the order of regulariser_kinds().
  void complete(device::Context& context, Span<const double> sums, index_t rows, double share,
                Span<double> losses);
  // What regularisers add to the router's gradient.
  RegulariserGradients regulariser_gradients() const { return regularisers_.gradients(); }
  bool has_regularisers() const { return regularisers_.any(); }

  // Of one batch or several, on the host: [width()].
  void read(Span<const double> sums, RoutingStatistics& statistics) const;
  // Whether every score was finite.
  static bool all_finite(Span<const double> sums) { return sums[Columns::bad_scores] == 0; }

 private:
  // Of a shard's sums; those of the regularisers follow.
  struct Columns {
    enum : index_t { bad_scores, entropy, chosen_entropy, importance };
  };

  index_t experts_;
  Regularisers regularisers_;
  // Of the batch; memory of the step. Entropies are in bits; empty: zero.
  const Routing* routing_ = nullptr;
  Span<const double> score_entropies_;   // of the softmax over all experts
  Span<const double> weight_entropies_;  // of the weights over the chosen ones
};

// Where a layer counts, in the counts of a model: from column `first` on.
struct CountPlaces {
  index_t first = 0;
  ops::CountColumns columns;
};
// Of statistics of its size; a model adds what else it counts.
CountPlaces count_places(const RoutingStatistics& statistics, index_t first = 0);
// Adds this rank's counts of what a layer did with a batch, to all counts of the model. `rows` says what else
// is known of its rows, and `known` what the host knows besides.
void add_counts(device::Context& context, const CountPlaces& places, const DispatchPlan& plan,
                const Routing& routing, ops::CountedRows rows, Span<const ops::KnownCount> known,
                Span<std::int64_t> counts);

}  // namespace switchyard::moe
