#include "model/mixture.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/error.hpp"
#include "device/thread_pool.hpp"
#include "nn/shard_sums.hpp"
#include "ops/reduce.hpp"
#include "tensor/tensor.hpp"

namespace switchyard::model {
Mixture::Mixture(const ModelOptions& mixture, const Task& task, comm::Resources resources,
                 const Outline& outline)
    : resources_(resources),
      task_(task),
      loss_(mixture.networks.loss),
      head_(make_head(mixture, task)),
      cost_(outline.cost()),
      sums_(mixture.moe),
      options_(outline.layers.front()),
      layer_(options_, resources, moe::Placement::make(mixture.moe, resources.communicator.size())) {
  layer_.add_norms(norm_table_);
}

moe::Statistics Mixture::statistics() const {
  moe::Statistics statistics(
      {{"", moe::RoutingStatistics(options_.routing.experts, {task_.classes, task_.groups})}});
  statistics.targets.units = task_.target_units;
  statistics.targets.are_densities = kind_of(loss_).of_distributions;
  statistics.squared_errors.resize(as_size(task_.targets));
  return statistics;
}

Score Mixture::score(const moe::Statistics& statistics) const {
  if (task_.targets == 0) return {"error", statistics.error()};
  if (kind_of(loss_).of_distributions) return {"loss", statistics.likelihood_loss()};
  return {"mean_squared_error", statistics.mean_squared_error()};
}

Score Mixture::worst_score() const {
  if (task_.targets == 0) return {"error", 1.0};
  return {kind_of(loss_).of_distributions ? "loss" : "mean_squared_error", std::numeric_limits<double>::max()};
}

void Mixture::forward(const nn::Pass& pass, moe::BatchFigures figures) {
  if (of_batch_.layers.empty()) of_batch_ = statistics();
  of_batch_.clear();
  measure(pass, of_batch_);
  add_figures(of_batch_, sums_.all_finite(), regulariser_losses(), pass.batch.share, figures);
}

void Mixture::read(Span<const double> sums, Span<const std::int64_t> counts, moe::Statistics& statistics,
                   Vector<double>& regularisers) const {
  read_figures(sums, counts, statistics, regularisers);
  for (std::size_t l = 0; l < of_batch_.layers.size(); ++l)
    statistics.layers[l].routing.is_limited = of_batch_.layers[l].routing.is_limited;
}

void Mixture::measure(const nn::Pass& pass, moe::Statistics& statistics) {
  output_ = layer_.forward(pass);
  pass.clock.enter(Phase::combine);
  scores_ = head_->forward(pass.context, output_, pass.batch);
  if (pass.is_training() && !pass.batch.weights.empty()) {
    for (index_t n = 0; n < output_.routing.samples; ++n) scores_.losses[n] *= pass.batch.weights[n];
  }
  pass.clock.enter(Phase::other);
  count(pass, statistics);
  statistics.samples() += output_.routing.samples;
  sums_.measure(pass, layer_.router(), output_.routing);
  collect(pass, statistics);
}

void Mixture::count(const nn::Pass& pass, moe::Statistics& statistics) const {
  if (task_.targets > 0) {
    moe::count_choices(pass.batch, layer_.plan(), output_.routing, statistics.routing(),
                       [](index_t, index_t, index_t) {});
    return;
  }
  moe::count_choices(pass.batch, layer_.plan(), output_.routing, statistics.routing(),
                     [&](index_t n, index_t slot, index_t expert) {
                       const std::int32_t label = pass.batch.labels[n];
                       statistics.errors() += scores_.predicted[n] != label ? 1 : 0;
                       ++statistics.routing().by_label(label, expert);
                       // Of an expert that did not see the sample, the whole model's.
                       ++statistics.routing().by_prediction(
                           output_.routing.is_dropped(slot) ? scores_.predicted[n]
                                                            : head_->class_of(output_.slot_rows().row(slot)),
                           expert);
                     });
}

std::optional<Predictions> Mixture::predictions(const nn::Pass& pass) {
  const moe::Routing& routing = output_.routing;
  device::Workspace& workspace = pass.workspace();
  const tensor::Matrix weights = tensor::allocate_matrix(workspace, routing.samples, routing.slots);
  for (index_t n = 0; n < routing.samples; ++n) {
    for (index_t k = 0; k < routing.slots; ++k)
      weights.row(n)[k] = routing.is_dropped(n * routing.slots + k) ? 0.0F : routing.weights.row(n)[k];
  }
  Predictions predictions{.slots = routing.slots,
                          .experts = routing.experts,
                          .gate_weights = weights,
                          .expert_outputs = output_.slot_rows(),
                          .dropped = routing.dropped};
  if (task_.targets > 0) {
    predictions.values = scores_.values;
    return predictions;
  }
  predictions.predicted = workspace.allocate<std::int32_t>(routing.samples);
  std::ranges::copy(scores_.predicted, predictions.predicted.begin());
  predictions.probabilities = probabilities(pass);
  return predictions;
}

// A class's probability is what the likelihood of evaluations would be of, were it the label.
tensor::Matrix Mixture::probabilities(const nn::Pass& pass) {
  const index_t samples = output_.routing.samples;
  device::Workspace& workspace = pass.workspace();
  const tensor::Matrix probabilities = tensor::allocate_matrix(workspace, samples, task_.classes);
  const Span<std::int32_t> label = workspace.allocate<std::int32_t>(samples);
  nn::Batch asked = pass.batch;
  asked.labels = label;
  const device::Workspace::Mark mark = workspace.mark();
  for (index_t c = 0; c < task_.classes; ++c) {
    std::ranges::fill(label, static_cast<std::int32_t>(c));
    const Scores scores = head_->forward(pass.context, output_, asked);
    const Span<const float> losses = head_->likelihood_losses(pass.context, output_, asked, scores);
    for (index_t n = 0; n < samples; ++n)
      probabilities.row(n)[c] = static_cast<float>(std::exp(-static_cast<double>(losses[n])));
    workspace.release(mark);
  }
  return probabilities;
}

void Mixture::expect_finite(const moe::Statistics& statistics, Span<const double> sums) const {
  if (std::isfinite(statistics.task_loss_sum) && sums[sum_count() - std::ssize(regulariser_losses()) - 1] == 0)
    return;
  const std::string what = std::isfinite(statistics.task_loss_sum)
                               ? std::string("a score of the gate is not finite")
                               : fmt::format("the loss is {}", statistics.task_loss_sum);
  throw_agreed(ErrorKind::numeric, what);
}

// Sums over the global batch: those of the losses, then of the targets' squared errors, then the layer's.
void Mixture::collect(const nn::Pass& pass, moe::Statistics& statistics) {
  enum : index_t { task_loss, likelihood_loss, of_targets };
  const index_t of_layer = of_targets + task_.targets;
  Span<const float> likelihood_losses;
  if (!pass.is_training())
    likelihood_losses = head_->likelihood_losses(pass.context, output_, pass.batch, scores_);
  const nn::ShardSums shards(pass, of_layer + sums_.width());
  pass.context.pool().parallel_for(pass.tiles().local_count(), [&](index_t tile) {
    const IndexRange rows = pass.tiles().rows(tile);
    const Span<double> sums = shards.of(tile);
    ops::add_sum(pass.context, scores_.losses.subspan(rows.begin, rows.size()), sums[task_loss]);
    if (!likelihood_losses.empty()) {
      ops::add_sum(pass.context, likelihood_losses.subspan(rows.begin, rows.size()), sums[likelihood_loss]);
    }
    for (index_t n = rows.begin; n < rows.end; ++n) {
      for (index_t t = 0; t < task_.targets; ++t) {
        const double error = static_cast<double>(scores_.values(n, t)) - pass.batch.targets(n, t);
        sums[of_targets + t] += error * error;
      }
    }
    sums_.add_shard(pass.context, rows, sums.subspan(of_layer));
  });
  const Span<const double> sums = shards.join(pass);
  statistics.task_loss_sum = sums[task_loss];
  statistics.likelihood_loss_sum = sums[likelihood_loss];
  std::ranges::copy(sums.subspan(of_targets, task_.targets), statistics.squared_errors.begin());
  sums_.complete(sums.subspan(of_layer), pass.tiles().total_rows(), statistics.routing());
}

void Mixture::backward(const nn::Pass& pass) {
  pass.clock.enter(Phase::combine);
  const moe::SlotGradients gradients = layer_.begin_backward(pass);
  const auto scale = static_cast<float>(pass.batch.row_weight());
  head_->backward(pass.context, output_, pass.batch, scale, gradients);
  if (!pass.batch.weights.empty()) weigh(pass, gradients);
  layer_.backward(pass, output_, gradients, sums_.regulariser_gradients(pass));
}

// A sample's gradients times its weight.
void Mixture::weigh(const nn::Pass& pass, const moe::SlotGradients& gradients) const {
  const tensor::RowTarget rows = gradients.slot_rows();
  for (index_t n = 0; n < output_.routing.samples; ++n) {
    const float weight = pass.batch.weights[n];
    for (index_t k = 0; k < output_.routing.slots; ++k) {
      gradients.slots(n, k) *= weight;
      if (rows.cols == 0) continue;  // experts are frozen
      float* const row = rows.row(n * output_.routing.slots + k);
      for (index_t c = 0; c < rows.cols; ++c) row[c] *= weight;
    }
  }
}

}  // namespace switchyard::model
