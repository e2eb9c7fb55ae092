#include "model/mixture.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/error.hpp"
#include "device/thread_pool.hpp"
#include "nn/shard_sums.hpp"
#include "ops/reduce.hpp"

namespace switchyard::model {
Mixture::Mixture(const ModelOptions& mixture, const Task& task, comm::Resources resources,
                 const Outline& outline)
    : resources_(resources),
      task_(task),
      head_(make_head(mixture, task.classes)),
      cost_(outline.cost()),
      sums_(mixture.moe),
      options_(outline.layers.front()),
      layer_(options_, resources, moe::Placement::make(mixture.moe, resources.communicator.size())) {
  layer_.add_norms(norm_table_);
}

void Mixture::forward(const nn::Pass& pass, moe::Statistics& statistics) {
  output_ = layer_.forward(pass);
  pass.clock.enter(Phase::combine);
  scores_ = head_->forward(pass.context, output_, pass.batch.labels);
  pass.clock.enter(Phase::other);
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
  statistics.samples() += output_.routing.samples;
  sums_.measure(pass, layer_.router(), output_.routing);
  collect(pass, statistics);
  expect_finite(statistics);
}

std::optional<Predictions> Mixture::predictions(const nn::Pass& pass) {
  const moe::Routing& routing = output_.routing;
  device::Workspace& workspace = pass.workspace();
  const tensor::Matrix probabilities = tensor::allocate_matrix(workspace, routing.samples, task_.classes);
  const tensor::Matrix weights = tensor::allocate_matrix(workspace, routing.samples, routing.slots);
  const Span<std::int32_t> predicted = workspace.allocate<std::int32_t>(routing.samples);
  std::ranges::copy(scores_.predicted, predicted.begin());
  for (index_t n = 0; n < routing.samples; ++n) {
    for (index_t k = 0; k < routing.slots; ++k)
      weights.row(n)[k] = routing.is_dropped(n * routing.slots + k) ? 0.0F : routing.weights.row(n)[k];
  }
  // A class's probability is what the likelihood of evaluations would be of, were it the label.
  const Span<std::int32_t> label = workspace.allocate<std::int32_t>(routing.samples);
  const device::Workspace::Mark mark = workspace.mark();
  for (index_t c = 0; c < task_.classes; ++c) {
    std::ranges::fill(label, static_cast<std::int32_t>(c));
    const Scores scores = head_->forward(pass.context, output_, label);
    const Span<const float> losses = head_->likelihood_losses(pass.context, output_, label, scores);
    for (index_t n = 0; n < routing.samples; ++n)
      probabilities.row(n)[c] = static_cast<float>(std::exp(-static_cast<double>(losses[n])));
    workspace.release(mark);
  }
  return Predictions{routing.slots, predicted,           probabilities,  routing.experts,
                     weights,       output_.slot_rows(), routing.dropped};
}

void Mixture::expect_finite(const moe::Statistics& statistics) const {
  if (std::isfinite(statistics.task_loss_sum) && sums_.all_finite()) return;
  const std::string what = std::isfinite(statistics.task_loss_sum)
                               ? std::string("a score of the gate is not finite")
                               : fmt::format("the loss is {}", statistics.task_loss_sum);
  throw_agreed(ErrorKind::numeric, what);
}

// Sums over the global batch: those of the losses, then the layer's.
void Mixture::collect(const nn::Pass& pass, moe::Statistics& statistics) {
  enum : index_t { task_loss, likelihood_loss, of_layer };
  Span<const float> likelihood_losses;
  if (!pass.is_training())
    likelihood_losses = head_->likelihood_losses(pass.context, output_, pass.batch.labels, scores_);
  const nn::ShardSums shards(pass, of_layer + sums_.width());
  pass.context.pool().parallel_for(pass.tiles().local_count(), [&](index_t tile) {
    const IndexRange rows = pass.tiles().rows(tile);
    const Span<double> sums = shards.of(tile);
    ops::add_sum(pass.context, scores_.losses.subspan(rows.begin, rows.size()), sums[task_loss]);
    if (!likelihood_losses.empty()) {
      ops::add_sum(pass.context, likelihood_losses.subspan(rows.begin, rows.size()), sums[likelihood_loss]);
    }
    sums_.add_shard(pass.context, rows, sums.subspan(of_layer));
  });
  const Span<const double> sums = shards.join(pass);
  statistics.task_loss_sum = sums[task_loss];
  statistics.likelihood_loss_sum = sums[likelihood_loss];
  sums_.complete(sums.subspan(of_layer), pass.tiles().total_rows(), statistics.routing());
}

void Mixture::backward(const nn::Pass& pass) {
  pass.clock.enter(Phase::combine);
  const moe::SlotGradients gradients = layer_.begin_backward(pass);
  const auto scale = static_cast<float>(pass.batch.row_weight());
  head_->backward(pass.context, output_, pass.batch.labels, scale, gradients);
  layer_.backward(pass, output_, gradients, sums_.regulariser_gradients(pass));
}

}  // namespace switchyard::model
