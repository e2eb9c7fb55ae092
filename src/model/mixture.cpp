#include "model/mixture.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "base/error.hpp"
#include "device/copy.hpp"
#include "device/transfer.hpp"
#include "nn/shard_sums.hpp"
#include "ops/moe/slots.hpp"
#include "ops/rows.hpp"
#include "tensor/tensor.hpp"

namespace switchyard::model {
namespace {

constexpr index_t own_counts = 2;

}  // namespace

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
  // Behind the model's own counts: samples, and errors of classes.
  counted_ = moe::count_places(statistics().routing(), own_counts);
  if (task_.targets == 0) counted_.columns.errors = 1;
}

moe::Statistics Mixture::statistics() const {
  moe::Statistics statistics(
      {{"", moe::RoutingStatistics(options_.routing.experts, {task_.classes, task_.groups})}});
  statistics.names = task_.names;
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

index_t Mixture::sum_count() const {
  return first_of_layer() + sums_.width() + std::ssize(moe::regulariser_kinds());
}

void Mixture::forward(const nn::Pass& pass, moe::BatchFigures figures) {
  output_ = layer_.forward(pass);
  pass.clock.enter(Phase::combine);
  scores_ = head_->forward(pass.context, output_, pass.batch);
  if (pass.is_training() && !pass.batch.weights.empty())
    ops::weigh_losses(pass.context, pass.batch.weights, scores_.losses);
  pass.clock.enter(Phase::other);
  count(pass, figures.counts);
  sum(pass, figures.sums);
}

void Mixture::count(const nn::Pass& pass, Span<std::int64_t> counts) const {
  const nn::Batch& batch = pass.batch;
  moe::CountPlaces places = counted_;
  if (batch.groups.empty() && task_.classes > 0) places.columns.by_group = -1;
  moe::add_counts(pass.context, places, layer_.plan(), output_.routing,
                  {.labels = batch.labels.data(),
                   .predicted = scores_.predicted.data(),
                   .groups = batch.groups.empty() ? nullptr : batch.groups.data(),
                   .outputs = output_.slot_rows(),
                   .names = head_->names()},
                  std::array{ops::KnownCount{0, 1, output_.routing.samples}}, counts);
}

void Mixture::sum(const nn::Pass& pass, Span<double> sums) {
  device::Context& context = pass.context;
  const index_t of_layer = first_of_layer();
  const index_t width = of_layer + sums_.width();
  sums_.measure(pass, layer_.router(), output_.routing);
  const nn::ShardSums shards(pass, width);
  const ops::TileSums of_shards = shards.of(pass.tiles());
  ops::RowFigures figures;
  figures.add(scores_.losses, of_shards, Columns::task_loss);
  if (!pass.is_training())
    figures.add(head_->likelihood_losses(context, output_, pass.batch, scores_), of_shards,
                Columns::likelihood_loss);
  if (task_.targets > 0)
    ops::add_squared_differences(context, of_shards.from(Columns::of_targets), scores_.values,
                                 pass.batch.targets);
  sums_.add_shards(context, of_shards.from(of_layer), figures);
  ops::add_figures(context, of_shards, figures);
  const Span<const double> of_batch = shards.join(pass, sums.first(width));
  if (!sums_.has_regularisers()) return;
  const Span<double> losses = pass.workspace().allocate<double>(std::ssize(moe::regulariser_kinds()));
  device::zero_on_device<double>(context, losses);
  sums_.complete(context, of_batch.subspan(of_layer), pass.tiles().total_rows(), pass.batch.share, losses);
  ops::add_scaled(context, losses, pass.batch.share, sums.subspan(width));
}

void Mixture::read(Span<const double> sums, Span<const std::int64_t> counts, moe::Statistics& statistics,
                   Vector<double>& regularisers) const {
  statistics.set_counts(counts);
  statistics.routing().is_limited = output_.routing.is_limited;
  statistics.task_loss_sum = sums[Columns::task_loss];
  statistics.likelihood_loss_sum = sums[Columns::likelihood_loss];
  std::ranges::copy(sums.subspan(Columns::of_targets, task_.targets), statistics.squared_errors.begin());
  sums_.read(sums.subspan(first_of_layer()), statistics.routing());
  const Span<const double> losses = sums.subspan(first_of_layer() + sums_.width());
  regularisers.assign(losses.begin(), losses.end());
}

void Mixture::expect_finite(const moe::Statistics& statistics, Span<const double> sums) const {
  if (!std::isfinite(statistics.task_loss_sum))
    throw_agreed(ErrorKind::numeric, fmt::format("the loss is {}", statistics.task_loss_sum));
  if (!moe::RoutingSums::all_finite(sums.subspan(first_of_layer())))
    throw_agreed(ErrorKind::numeric, "a score of the gate is not finite");
}

void Mixture::after_update(device::Context& context, Span<const std::int64_t> counts) {
  layer_.after_update(
      context, counts.subspan(own_counts + moe::RoutingStatistics::first_load, options_.routing.experts));
}

std::optional<Predictions> Mixture::predictions(const nn::Pass& pass) {
  device::Context& context = pass.context;
  const moe::Routing& routing = output_.routing;
  const auto on_host = [&](tensor::ConstMatrix m) {
    const Span<const float> values = device::fetch(context, Span<const float>(m.data, m.rows * m.cols));
    return tensor::ConstMatrix(values.data(), m.rows, m.cols);
  };
  Predictions predictions{.slots = routing.slots,
                          .experts = device::fetch<const std::int32_t>(context, routing.experts),
                          .gate_weights = gate_weights(context),
                          .expert_outputs = output_.slot_rows(),
                          .dropped = device::fetch<const std::uint8_t>(context, routing.dropped)};
  if (context.memory() == device::MemoryKind::device) {
    const tensor::RowSource& rows = output_.slot_rows();
    const tensor::Matrix copy = tensor::allocate_matrix(pass.workspace(), rows.rows, rows.cols);
    ops::gather_rows(context, rows, copy);
    predictions.expert_outputs = on_host(copy);
  }
  if (task_.targets > 0) {
    predictions.values = on_host(scores_.values);
  } else {
    // Before probabilities() lets the head write anew what it says of a batch.
    const Span<std::int32_t> predicted = pass.workspace().allocate<std::int32_t>(routing.samples);
    device::copy_on_device<std::int32_t>(context, scores_.predicted, predicted);
    predictions.predicted = device::fetch<const std::int32_t>(context, predicted);
    predictions.probabilities = probabilities(pass);
  }
  context.wait();
  return predictions;
}

// [N, K] on the host: 0 where the expert had no place left. Waits.
tensor::ConstMatrix Mixture::gate_weights(device::Context& context) const {
  const moe::Routing& routing = output_.routing;
  const index_t count = routing.samples * routing.slots;
  const Span<const float> weights = device::fetch(context, Span<const float>(routing.weights.data, count));
  const Span<const std::uint8_t> dropped = device::fetch<const std::uint8_t>(context, routing.dropped);
  context.wait();
  const Span<float> kept = context.host_workspace().allocate<float>(count);
  for (index_t s = 0; s < count; ++s) kept[s] = dropped.empty() || dropped[s] == 0 ? weights[s] : 0.0F;
  return {kept.data(), routing.samples, routing.slots};
}

// On the host. A class's probability is what the likelihood of evaluations would be of, were it the label.
// Waits for each.
tensor::ConstMatrix Mixture::probabilities(const nn::Pass& pass) {
  device::Context& context = pass.context;
  const index_t samples = output_.routing.samples;
  device::Workspace& workspace = pass.workspace();
  const tensor::Matrix probabilities =
      tensor::allocate_matrix(context.host_workspace(), samples, task_.classes);
  const Span<std::int32_t> label = workspace.allocate<std::int32_t>(samples);
  nn::Batch asked = pass.batch;
  asked.labels = label;
  for (index_t c = 0; c < task_.classes; ++c) {
    const device::Workspace::Mark mark = workspace.mark();
    ops::fill(context, static_cast<std::int32_t>(c), label);
    const Scores scores = head_->forward(context, output_, asked);
    const Span<const float> losses =
        device::fetch(context, head_->likelihood_losses(context, output_, asked, scores));
    context.wait();
    for (index_t n = 0; n < samples; ++n)
      probabilities(n, c) = static_cast<float>(std::exp(-static_cast<double>(losses[n])));
    workspace.release(mark);
  }
  return probabilities;
}

void Mixture::backward(const nn::Pass& pass) {
  pass.clock.enter(Phase::combine);
  const moe::SlotGradients gradients = layer_.begin_backward(pass);
  const auto scale = static_cast<float>(pass.batch.row_weight());
  head_->backward(pass.context, output_, pass.batch, scale, gradients);
  if (!pass.batch.weights.empty())
    ops::weigh_gradients(pass.context, pass.batch.weights, gradients.slots, gradients.slot_rows());
  layer_.backward(pass, output_, gradients, sums_.regulariser_gradients(), nn::Wants::nothing);
}

}  // namespace switchyard::model
