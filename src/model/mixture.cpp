#include "model/mixture.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "base/contract.hpp"
#include "base/error.hpp"
#include "device/thread_pool.hpp"
#include "ops/reduce.hpp"
#include "ops/rows.hpp"

namespace switchyard::model {
Mixture::Mixture(const MixtureOptions& mixture, const Task& task, comm::Resources resources)
    : resources_(resources),
      task_(task),
      head_(make_head(mixture, task.classes)),
      regularisers_(mixture.moe),
      options_(layer_options(mixture, task)),
      layer_(options_, resources.communicator,
             moe::Placement::make(mixture.moe.placement, mixture.moe.experts, resources.communicator.size())) {
  // Unit 0 is the gate, unit 1 + e expert e.
  if (moe::RouterNetwork* const gate = layer_.router().network()) {
    gate->gradient().add_norms(norm_table_);
  } else {
    norm_table_.end_unit();
  }
  const std::vector<index_t> expert = nn::norm_parameters(layer_.experts().network());
  for (index_t e = 0; e < mixture.moe.experts; ++e) norm_table_.add(expert);
}

index_t Mixture::parameter_count() const {
  const moe::RouterNetwork* const gate = layer_.router().network();
  return (gate != nullptr ? gate->layers().parameter_count() : 0) +
         layer_.experts().network().parameter_count() * options_.routing.experts;
}

index_t Mixture::training_multiply_adds_per_sample() const {
  const moe::RouterNetwork* const gate = layer_.router().network();
  return (gate != nullptr ? gate->layers().training_multiply_adds() : 0) +
         layer_.router().slots() * layer_.experts().network().training_multiply_adds();
}

void Mixture::forward(const nn::Pass& pass, moe::Statistics& statistics) {
  output_ = layer_.forward(pass);
  pass.clock.enter(Phase::combine);
  scores_ = head_->forward(pass.context, output_, pass.batch.labels);
  pass.clock.enter(Phase::other);
  count_choices(pass.batch, statistics);
  regularisers_.measure(pass, layer_.router(), output_.routing);
  collect(pass, statistics);
  expect_finite(statistics);
}

void Mixture::expect_finite(const moe::Statistics& statistics) const {
  if (std::isfinite(statistics.task_loss_sum) && bad_scores_ == 0) return;
  const std::string what = std::isfinite(statistics.task_loss_sum)
                               ? std::string("a score of the gate is not finite")
                               : fmt::format("the loss is {}", statistics.task_loss_sum);
  throw_agreed(ErrorKind::numeric, what);
}

// The columns of a shard's sums; those of the regularisers follow.
struct Mixture::SumColumns {
  enum : index_t { task_loss, likelihood_loss, bad_scores, entropy, chosen_entropy, importance };
  index_t experts;
  index_t regularisers() const { return importance + experts; }
};

// What is summed besides the losses that are trained; empty: zero. Entropies are in bits.
struct Mixture::OfSamples {
  Span<const float> likelihood_losses;
  Span<const double> score_entropies;   // of the softmax over all experts
  Span<const double> weight_entropies;  // of the weights over the chosen ones
};

// One shard, sample after sample, in float64.
void Mixture::sum_shard(device::Context& context, IndexRange rows, const OfSamples& of,
                        Span<double> sums) const {
  const moe::Routing& routing = output_.routing;
  const tensor::ConstMatrix scores = routing.noisy.rows_from(rows);
  sums[SumColumns::bad_scores] = ops::all_finite(context, scores) ? 0.0 : 1.0;
  double* const importance = sums.data() + SumColumns::importance;
  for (index_t n = rows.begin; n < rows.end; ++n) {
    sums[SumColumns::task_loss] += scores_.losses[n];
    if (!of.likelihood_losses.empty()) sums[SumColumns::likelihood_loss] += of.likelihood_losses[n];
    if (!of.score_entropies.empty()) sums[SumColumns::entropy] += of.score_entropies[n];
    if (!of.weight_entropies.empty()) sums[SumColumns::chosen_entropy] += of.weight_entropies[n];
    for (index_t i = 0; i < routing.slots; ++i) {
      const std::int32_t expert = routing.experts[n * routing.slots + i];
      importance[expert] += routing.weights(n, i);
    }
  }
  const SumColumns columns{options_.routing.experts};
  regularisers_.add_shard(context, rows, sums.subspan(columns.regularisers()));
}

Mixture::OfSamples Mixture::of_samples(const nn::Pass& pass) const {
  device::Context& context = pass.context;
  const moe::Routing& routing = output_.routing;
  OfSamples of;
  if (!pass.is_training()) {
    of.likelihood_losses = head_->likelihood_losses(context, output_, pass.batch.labels, scores_);
  }
  const auto allocate = [&] { return pass.workspace().allocate<double>(routing.samples); };
  of.score_entropies = routing.entropies;
  if (routing.slots > 1) {
    const Span<double> of_weights = allocate();
    ops::entropy_rows(context, routing.weights, of_weights);
    of.weight_entropies = of.score_entropies = of_weights;
  }
  if (routing.slots > 1 && routing.slots < options_.routing.experts) {
    const Span<double> of_scores = allocate();
    ops::score_statistics(context, routing.scores, {}, of_scores);
    for (double& entropy : of_scores) entropy *= std::numbers::log2e;
    of.score_entropies = of_scores;
  }
  return of;
}

// Sums over the global batch: a partial per shard, added in shard order.
void Mixture::collect(const nn::Pass& pass, moe::Statistics& statistics) {
  device::Workspace& workspace = pass.workspace();
  const nn::BatchTiles& tiles = pass.tiles();
  const OfSamples of = of_samples(pass);
  const SumColumns columns{options_.routing.experts};
  const index_t width = columns.regularisers() + regularisers_.width();
  const Span<double> mine = workspace.allocate<double>(tiles.local_count() * width);
  std::ranges::fill(mine, 0.0);
  pass.context.pool().parallel_for(tiles.local_count(), [&](index_t tile) {
    sum_shard(pass.context, tiles.rows(tile), of, mine.subspan(tile * width, width));
  });
  const Span<const double> all = tiles.gather_tiles(workspace, mine, width);
  const Span<double> column = workspace.allocate<double>(tiles.total_count());
  const Span<double> sums = workspace.allocate<double>(width);
  for (index_t c = 0; c < width; ++c) {
    for (index_t tile = 0; tile < tiles.total_count(); ++tile) column[tile] = all[tile * width + c];
    sums[c] = ops::sum_tree(column);
  }
  bad_scores_ = sums[SumColumns::bad_scores];
  statistics.task_loss_sum = sums[SumColumns::task_loss];
  statistics.likelihood_loss_sum = sums[SumColumns::likelihood_loss];
  moe::RoutingStatistics& of_layer = statistics.routing();
  of_layer.entropy_sum = sums[SumColumns::entropy];
  of_layer.chosen_entropy_sum = sums[SumColumns::chosen_entropy];
  std::ranges::copy(sums.subspan(SumColumns::importance, columns.experts), of_layer.importance.begin());
  regularisers_.complete(sums.subspan(columns.regularisers()), of_layer.importance, tiles.total_rows());
}

void Mixture::count_choices(const nn::Batch& batch, moe::Statistics& statistics) const {
  const moe::Routing& routing = output_.routing;
  statistics.samples() += routing.samples;
  moe::RoutingStatistics& of_layer = statistics.routing();
  of_layer.rows() += routing.samples;
  of_layer.sent_rows() += layer_.plan().sent_rows();
  for (index_t n = 0; n < routing.samples; ++n) {
    const std::int32_t label = batch.labels[n];
    statistics.errors() += scores_.predicted[n] != label ? 1 : 0;
    index_t chosen = 0;
    for (index_t i = 0; i < routing.slots; ++i) {
      ++of_layer.load(routing.experts[n * routing.slots + i]);
      if (routing.log_weights(n, i) > routing.log_weights(n, chosen)) chosen = i;
    }
    const index_t expert = routing.experts[n * routing.slots + chosen];
    ++of_layer.by_label(label, expert);
    ++of_layer.by_prediction(head_->class_of(output_.slot_rows().row(n * routing.slots + chosen)), expert);
    if (!batch.groups.empty()) ++of_layer.by_group(batch.groups[n], expert);
  }
}

void Mixture::backward(const nn::Pass& pass) {
  pass.clock.enter(Phase::combine);
  const moe::SlotGradients gradients = layer_.begin_backward(pass);
  const auto scale = static_cast<float>(1.0 / static_cast<double>(pass.tiles().total_rows()));
  head_->backward(pass.context, output_, pass.batch.labels, scale, gradients);
  layer_.backward(pass, output_, gradients, regularisers_.gradients(pass.workspace()));
}

void Mixture::gather_updated_values() {
  if (moe::RouterNetwork* const gate = layer_.router().network()) gate->gradient().gather_updated_values();
  layer_.values_changed(resources_.context, moe::Layer::Changed::trained);
}

std::vector<nn::ParameterSlice> Mixture::slices() {
  std::vector<nn::ParameterSlice> all;
  if (moe::RouterNetwork* const gate = layer_.router().network()) {
    for (nn::ParameterSlice slice : gate->gradient().slices()) {
      slice.role = nn::Role::router;
      all.push_back(slice);
    }
  }
  moe::Experts& experts = layer_.experts();
  for (index_t e = 0; e < experts.count(); ++e) {
    for (nn::ParameterSlice slice : experts.gradient().slices(e)) {
      slice.unit = 1 + experts.id(e).index();
      slice.norm_entry += norm_table_.unit_begin[slice.unit];
      all.push_back(slice);
    }
  }
  return all;
}

std::vector<ModelArray> Mixture::parameters() {
  return arrays([](nn::Layer& layer) { return layer.parameters(); });
}

std::vector<ModelArray> Mixture::state() {
  return arrays([](nn::Layer& layer) { return layer.state(); });
}

std::vector<ModelArray> Mixture::arrays(const auto& of_layer) {
  std::vector<ModelArray> arrays;
  const auto add = [&](nn::Network& network, index_t set, nn::Role role) {
    for (index_t l = 0; l < network.layer_count(); ++l) {
      for (const nn::BankArray& array : of_layer(network.layer(l)))
        arrays.push_back(
            {network.name_of(set, array), array.shape, array.of(set), role == nn::Role::router, role});
    }
  };
  if (moe::RouterNetwork* const gate = layer_.router().network()) add(gate->layers(), 0, nn::Role::router);
  for (index_t e = 0; e < layer_.experts().count(); ++e) add(layer_.experts().network(), e, nn::Role::weight);
  return arrays;
}

}  // namespace switchyard::model
