// The regularisers of a mixture: what keeps experts in use, decided, or apart. docs/gates.md lists them.
#pragma once

#include <string_view>
#include <vector>

#include "base/span.hpp"
#include "model/options.hpp"
#include "moe/layer.hpp"
#include "moe/similarity.hpp"

namespace switchyard::model {

// What they add to the loss of a batch, weighted. load and similarity are of training batches only, and 0 in
// evaluation.
struct RegulariserLosses {
  double importance = 0;
  double balance = 0;
  double z_loss = 0;
  double entropy = 0;
  double load = 0;
  double similarity = 0;

  double total() const;
};
// Each with its name in metrics.jsonl, in the order in which they are added up.
struct RegulariserLoss {
  std::string_view name;
  double RegulariserLosses::*value;
};
inline constexpr RegulariserLoss regulariser_losses[] = {{"importance_loss", &RegulariserLosses::importance},
                                                         {"balance_loss", &RegulariserLosses::balance},
                                                         {"z_loss", &RegulariserLosses::z_loss},
                                                         {"gate_entropy_loss", &RegulariserLosses::entropy},
                                                         {"load_loss", &RegulariserLosses::load},
                                                         {"similarity_loss", &RegulariserLosses::similarity}};

// All that a configuration turns on, over one batch at a time: measure() this rank's samples, add_shard() for
// each of its shards, complete() with the sums over all shards of all ranks. Losses and gradients are then
// those of the global batch, the same on every rank. What measure() leaves is memory of the step.
class Regularisers {
 public:
  explicit Regularisers(const moe::Options& moe);

  // Collective over the batch's ranks if samples are compared with each other.
  void measure(const nn::Pass& pass, const moe::Router& router, const moe::Routing& routing);
  // How many sums a shard has.
  index_t width() const { return columns_.end; }
  // Adds samples `rows` of this rank to sums[width()], in order. Shards may be added at the same time.
  void add_shard(device::Context& context, IndexRange rows, Span<double> sums) const;
  // sums: [width()] and importance: [E] over the global batch of `samples`.
  void complete(Span<const double> sums, Span<const double> importance, index_t samples);

  const RegulariserLosses& losses() const { return losses_; }
  moe::RegulariserGradients gradients() const;

 private:
  // Where a shard's sums begin; those of what is off have no columns.
  struct Columns {
    index_t scores = 0;         // squared log sums, entropies
    index_t pairs = 0;          // distances, the part within experts
    index_t load = 0;           // [E] chosen slots
    index_t probability = 0;    // [E]
    index_t expected_load = 0;  // [E]
    index_t end = 0;
  };
  bool of_scores() const { return moe_.z_loss > 0 || moe_.gate_entropy > 0; }

  moe::Options moe_;  // the weights among them
  moe::SimilarityWeights similarity_;
  Columns columns_;
  moe::SimilarityPairs pairs_;

  // Of the batch at hand.
  const moe::Routing* routing_ = nullptr;
  bool with_load_ = false;
  ops::ExpectedLoad expected_load_;
  Span<double> squared_log_sums_, score_entropies_;  // [N]
  moe::SimilarityTerms terms_;                       // of a training batch
  RegulariserLosses losses_;
  Vector<double> importance_gradient_, balance_gradient_, load_gradient_;  // [E]; empty: off
  double similarity_slope_ = 0;
};

}  // namespace switchyard::model
