#include "model/regularisers.hpp"

#include "base/span.hpp"
#include "moe/balance.hpp"

namespace switchyard::model {
namespace {

Vector<double> gradient_of(double weight, index_t experts) { return Vector<double>(weight > 0 ? experts : 0); }

}  // namespace

double RegulariserLosses::total() const {
  double sum = 0;
  for (const RegulariserLoss& loss : regulariser_losses) sum += this->*loss.value;
  return sum;
}

Regularisers::Regularisers(const moe::Options& moe)
    : moe_(moe),
      similarity_{moe.similarity, moe.similarity_same, moe.similarity_different},
      importance_gradient_(gradient_of(moe.importance, moe.experts)),
      balance_gradient_(gradient_of(moe.balance, moe.experts)),
      load_gradient_(gradient_of(moe.load, moe.experts)) {
  const auto take = [&](index_t count) {
    const index_t first = columns_.end;
    columns_.end += count;
    return first;
  };
  columns_.scores = take(of_scores() ? 2 : 0);
  columns_.pairs = take(similarity_.any() ? 2 : 0);
  columns_.load = take(moe_.balance > 0 ? moe_.experts : 0);
  columns_.probability = take(moe_.balance > 0 ? moe_.experts : 0);
  columns_.expected_load = take(moe_.load > 0 ? moe_.experts : 0);
}

void Regularisers::measure(const nn::Pass& pass, const moe::Router& router, const moe::Routing& routing) {
  routing_ = &routing;
  if (of_scores()) {
    squared_log_sums_ = pass.workspace().allocate<double>(routing.samples);
    score_entropies_ = pass.workspace().allocate<double>(routing.samples);
    ops::score_statistics(pass.context, routing.scores, squared_log_sums_, score_entropies_);
  }
  with_load_ = pass.is_training() && moe_.load > 0;
  if (with_load_) expected_load_ = routing.expected_load();
  terms_ = {};
  if (pass.is_training() && similarity_.any()) {
    const tensor::RowSource features =
        moe_.similarity_layer == 0 ? pass.batch.rows
                                   : tensor::RowSource(router.network()->output_of(moe_.similarity_layer));
    terms_ = pairs_.measure(pass.context, pass.tiles(), features, routing.scores);
  }
}

void Regularisers::add_shard(device::Context& context, IndexRange rows, Span<double> sums) const {
  const moe::Routing& routing = *routing_;
  for (index_t n = rows.begin; n < rows.end; ++n) {
    if (of_scores()) {
      sums[columns_.scores] += squared_log_sums_[n];
      sums[columns_.scores + 1] += score_entropies_[n];
    }
    if (!terms_.distances.empty()) {
      sums[columns_.pairs] += terms_.distances[n];
      sums[columns_.pairs + 1] += terms_.same_expert[n];
    }
    for (index_t i = 0; moe_.balance > 0 && i < routing.slots; ++i)
      sums[columns_.load + routing.experts[n * routing.slots + i]] += 1.0;
  }
  if (moe_.balance > 0) {
    ops::add_probabilities(context, routing.scores.rows_from(rows),
                           sums.subspan(columns_.probability, moe_.experts));
  }
  if (with_load_) {
    ops::ExpectedLoad shard = expected_load_;
    shard.clean = shard.clean.rows_from(rows);
    shard.noisy = shard.noisy.rows_from(rows);
    shard.experts += rows.begin * routing.slots;
    ops::add_expected_load(context, shard, sums.subspan(columns_.expected_load, moe_.experts));
  }
}

void Regularisers::complete(Span<const double> sums, Span<const double> importance, index_t samples) {
  const auto of_experts = [&](index_t first) { return sums.subspan(first, moe_.experts); };
  const auto count = static_cast<double>(samples);
  if (moe_.importance > 0) {
    losses_.importance = moe::squared_variation(importance, moe_.importance);
    moe::squared_variation_gradient(importance, moe_.importance, importance_gradient_);
  }
  if (moe_.balance > 0) {
    losses_.balance =
        moe::balance_loss(of_experts(columns_.load), of_experts(columns_.probability), moe_.balance);
    moe::balance_gradient(of_experts(columns_.load), samples, moe_.balance, balance_gradient_);
  }
  if (of_scores()) {
    losses_.z_loss = moe_.z_loss * sums[columns_.scores] / count;
    losses_.entropy = moe_.gate_entropy * sums[columns_.scores + 1] / count;
  }
  if (moe_.load > 0) {
    losses_.load = moe::squared_variation(of_experts(columns_.expected_load), moe_.load);
    moe::squared_variation_gradient(of_experts(columns_.expected_load), moe_.load, load_gradient_);
  }
  if (similarity_.any()) {
    const moe::SimilaritySums pairs{sums[columns_.pairs], sums[columns_.pairs + 1]};
    losses_.similarity = moe::similarity_loss(similarity_, pairs, samples, moe_.experts);
    similarity_slope_ = moe::similarity_slope(similarity_, pairs, samples, moe_.experts);
  }
}

moe::RegulariserGradients Regularisers::gradients() const {
  return {.importance = importance_gradient_,
          .probability = balance_gradient_,
          .load = load_gradient_,
          .z_loss = moe_.z_loss,
          .entropy = moe_.gate_entropy,
          .sample_probability = terms_.weighted_distances,
          .sample_scale = similarity_slope_};
}

}  // namespace switchyard::model
