#include "model/tokens.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>

#include "base/error.hpp"
#include "device/thread_pool.hpp"
#include "model/outline.hpp"
#include "nn/shard_sums.hpp"
#include "ops/reduce.hpp"
#include "ops/rows.hpp"

namespace switchyard::model {

Tokens::Block::Block(nn::Trunk& trunk, const moe::LayerOptions& options, comm::Resources resources,
                     const moe::Placement& placement)
    : name(options.scope.substr(0, options.scope.size() - 1)),
      norm(trunk, name.substr(0, name.rfind('/')) + "/norm", options.outputs),
      mixture(options, resources, placement) {}

Tokens::Tokens(const ModelOptions& options, const Task& task, comm::Resources resources)
    : resources_(resources),
      task_(task),
      width_(options.networks.tokens.width),
      embedding_(trunk_, "embedding", task.classes, width_),
      norm_(trunk_, "norm", width_),
      regulariser_losses_(std::ssize(moe::regulariser_kinds())) {
  const auto placement =
      moe::Placement::make(options.moe.placement, options.moe.experts, resources.communicator.size());
  for (const moe::LayerOptions& layer : outline(options, task).layers)
    blocks_.push_back(std::make_unique<Block>(trunk_, layer, resources, placement));
  trunk_.hold(resources.data_plane, options.seed);
  // Unit 0 is the trunk.
  trunk_.add_norms(norm_table_);
  for (const auto& block : blocks_) block->mixture.layer().add_norms(norm_table_);
}

moe::Statistics Tokens::statistics() const {
  std::vector<moe::Statistics::Layer> layers;
  for (const auto& block : blocks_) {
    const index_t experts = block->mixture.layer().router().options().experts;
    layers.push_back(
        {block->name, moe::RoutingStatistics(experts, {.groups = task_.groups, .group = "domain"})});
  }
  moe::Statistics statistics(std::move(layers));
  statistics.group_names = task_.group_names;
  return statistics;
}

void Tokens::forward(const nn::Pass& of_batch, moe::Statistics& statistics) {
  trace_.clear();
  const nn::Pass pass = own(of_batch);
  pass.clock.enter(Phase::other);
  tensor::Matrix x = embedding_.forward(pass);
  for (std::size_t b = 0; b < blocks_.size(); ++b) {
    Block& block = *blocks_[b];
    const tensor::Matrix y = block.mixture.forward(pass, block.norm.forward(pass, x));
    ops::add(pass.context, x, y);
    x = y;
    block.mixture.count(pass.batch, statistics.layers[b].routing);
  }
  const nn::TiedEmbedding::Scores scores = embedding_.score(pass, norm_.forward(pass, x));
  for (index_t n = 0; n < x.rows; ++n)
    statistics.errors() += scores.predicted[n] != pass.batch.labels[n] ? 1 : 0;
  statistics.samples() += x.rows;
  collect(pass, scores, statistics);
  expect_finite(statistics);
}

// Sums over the global batch: the loss, then each layer's.
void Tokens::collect(const nn::Pass& pass, const nn::TiedEmbedding::Scores& scores,
                     moe::Statistics& statistics) {
  index_t width = 1;
  for (const auto& block : blocks_) width += block->mixture.sums().width();
  const nn::ShardSums shards(pass, width);
  pass.context.pool().parallel_for(pass.tiles().local_count(), [&](index_t tile) {
    const IndexRange rows = pass.tiles().rows(tile);
    Span<double> sums = shards.of(tile);
    ops::add_sum(pass.context, scores.losses.subspan(rows.begin, rows.size()), sums[0]);
    sums = sums.subspan(1);
    for (const auto& block : blocks_) {
      block->mixture.sums().add_shard(pass.context, rows, sums);
      sums = sums.subspan(block->mixture.sums().width());
    }
  });
  Span<const double> sums = shards.join(pass);
  statistics.task_loss_sum = sums[0];
  statistics.likelihood_loss_sum = pass.is_training() ? 0.0 : sums[0];
  sums = sums.subspan(1);
  std::ranges::fill(regulariser_losses_, 0.0);
  for (std::size_t b = 0; b < blocks_.size(); ++b) {
    moe::RoutingSums& of_block = blocks_[b]->mixture.sums();
    of_block.complete(sums.first(of_block.width()), pass.tiles().total_rows(), statistics.layers[b].routing);
    sums = sums.subspan(of_block.width());
    const Vector<double>& losses = of_block.regulariser_losses();
    for (std::size_t kind = 0; kind < losses.size(); ++kind) regulariser_losses_[kind] += losses[kind];
  }
}

void Tokens::expect_finite(const moe::Statistics& statistics) const {
  if (!std::isfinite(statistics.task_loss_sum))
    throw_agreed(ErrorKind::numeric, fmt::format("the loss is {}", statistics.task_loss_sum));
  for (const auto& block : blocks_) {
    if (!block->mixture.sums().all_finite())
      throw_agreed(ErrorKind::numeric, fmt::format("a score of the router of {} is not finite", block->name));
  }
}

void Tokens::backward(const nn::Pass& of_batch) {
  const nn::Pass pass = own(of_batch);
  trunk_.gradients().begin(pass);
  tensor::Matrix d = norm_.backward(pass, embedding_.backward_scores(pass), nn::Wants::input_gradient);
  for (auto block = blocks_.rbegin(); block != blocks_.rend(); ++block) {
    const tensor::Matrix d_mixture = (*block)->mixture.backward(pass, d, nn::Wants::input_gradient);
    ops::add(pass.context, (*block)->norm.backward(pass, d_mixture, nn::Wants::input_gradient), d);
  }
  embedding_.backward(pass, d);
}

void Tokens::reduce_gradients(const nn::Pass& pass) {
  for (const auto& block : blocks_) block->mixture.layer().reduce_gradients(pass);
  pass.clock.enter(Phase::reduction);
  trunk_.gradients().reduce(pass);
}

void Tokens::gather_updated_values() {
  trunk_.gradients().gather_updated_values(resources_.context);
  for (const auto& block : blocks_) block->mixture.layer().gather_updated_values(resources_.context);
}

void Tokens::values_changed() {
  for (const auto& block : blocks_)
    block->mixture.layer().values_changed(resources_.context, moe::Layer::Changed::all);
}

std::vector<nn::ParameterSlice> Tokens::slices() {
  std::vector<nn::ParameterSlice> all = trunk_.slices(norm_table_);
  for (const auto& block : blocks_)
    std::ranges::move(block->mixture.layer().slices(norm_table_), std::back_inserter(all));
  return all;
}

std::vector<nn::NamedArray> Tokens::parameters() {
  std::vector<nn::NamedArray> all = trunk_.arrays();
  for (const auto& block : blocks_)
    std::ranges::move(block->mixture.layer().parameters(), std::back_inserter(all));
  return all;
}

std::vector<nn::NamedArray> Tokens::state() {
  std::vector<nn::NamedArray> all;
  for (const auto& block : blocks_) std::ranges::move(block->mixture.layer().state(), std::back_inserter(all));
  return all;
}

Score Tokens::worst_score() const { return {"loss", std::numeric_limits<double>::max()}; }

index_t Tokens::parameter_count() const {
  index_t count = trunk_.parameter_count();
  for (const auto& block : blocks_) count += block->mixture.layer().parameter_count();
  return count;
}

index_t Tokens::training_multiply_adds_per_sample() const {
  index_t of_token = 3 * task_.classes * width_;
  for (const auto& block : blocks_) of_token += block->mixture.layer().training_multiply_adds();
  return task_.window * of_token;
}

}  // namespace switchyard::model
