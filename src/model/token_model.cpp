#include "model/token_model.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/error.hpp"
#include "base/hash.hpp"
#include "device/thread_pool.hpp"
#include "ops/reduce.hpp"
#include "ops/rows.hpp"

namespace switchyard::model {
namespace {

// Each place where numbers are dropped has draws of its own.
ops::Dropout dropout_of(const ModelOptions& options, const std::string& place) {
  return {static_cast<float>(options.networks.transformer.dropout), options.seed ^ fnv1a(place)};
}

}  // namespace

std::unique_ptr<nn::Module> TokenModel::make_body(const ModelOptions& options, const Branch& branch) {
  if (const auto* const mixture = std::get_if<moe::MixtureBranchOptions>(&branch.body)) {
    auto module = std::make_unique<moe::MixtureBranch>(
        *mixture, resources_, moe::Placement::make(options.moe, resources_.communicator.size()));
    const std::string& scope = mixture->layer.scope;
    mixtures_.push_back(
        {scope.substr(0, scope.size() - 1), module.get(), &module->mixture(), mixture->sub_heads});
    return module;
  }
  if (const auto* const attention = std::get_if<nn::CausalAttentionOptions>(&branch.body))
    return std::make_unique<nn::CausalAttention>(*attention, resources_.data_plane);
  return std::make_unique<nn::NetworkModule>(std::get<nn::NetworkModuleOptions>(branch.body),
                                             resources_.data_plane);
}

void TokenModel::add_branch(const ModelOptions& options, const Branch& branch) {
  branches_.push_back(
      std::make_unique<Residual>(trunk_, branch.norm, make_body(options, branch),
                                 Residual::Options{width_, dropout_of(options, branch.norm),
                                                   options.recompute ? Keep::inputs : Keep::activations}));
}

TokenModel::TokenModel(const ModelOptions& options, const Task& task, comm::Resources resources)
    : TokenModel(options, task, resources, outline(options, task)) {}

TokenModel::TokenModel(const ModelOptions& options, const Task& task, comm::Resources resources,
                       const Outline& outline)
    : resources_(resources),
      task_(task),
      width_(outline.row_features),
      cost_(outline.cost()),
      embedding_(trunk_, outline.embedding),
      dropout_(dropout_of(options, "embedding")),
      norm_(trunk_, "norm", width_),
      regulariser_losses_(std::ssize(moe::regulariser_kinds())) {
  for (const Branch& branch : outline.branches) add_branch(options, branch);
  trunk_.hold(resources.data_plane, options.seed, resources.context.memory());
  // Unit 0 is the trunk.
  trunk_.add_norms(norm_table_);
  for (const auto& branch : branches_) branch->body().add_norms(norm_table_);
}

moe::Statistics TokenModel::statistics() const {
  std::vector<moe::Statistics::Layer> layers;
  for (const auto& [name, body, module, rows_per_token] : mixtures_) {
    const index_t experts = module->layer().router().options().experts;
    layers.push_back(
        {name, moe::RoutingStatistics(experts, {.groups = task_.groups, .group = "domain", .row = "token"})});
  }
  moe::Statistics statistics(std::move(layers));
  statistics.group_names = task_.group_names;
  return statistics;
}

index_t TokenModel::shard_sum_count() const {
  index_t count = 1;
  for (const Mixture& mixture : mixtures_) count += mixture.module->sums().width();
  return count;
}

void TokenModel::forward(const nn::Pass& pass, moe::BatchFigures figures) {
  if (of_batch_.layers.empty()) of_batch_ = statistics();
  of_batch_.clear();
  measure(pass, of_batch_);
  add_figures(of_batch_, all_finite(), regulariser_losses(), pass.batch.share, figures);
}

void TokenModel::read(Span<const double> sums, Span<const std::int64_t> counts, moe::Statistics& statistics,
                      Vector<double>& regularisers) const {
  read_figures(sums, counts, statistics, regularisers);
  for (std::size_t l = 0; l < of_batch_.layers.size(); ++l)
    statistics.layers[l].routing.is_limited = of_batch_.layers[l].routing.is_limited;
}

void TokenModel::measure(const nn::Pass& of_batch, moe::Statistics& statistics) {
  trace_.clear();
  const nn::Pass pass = own(of_batch);
  pass.clock.enter(Phase::other);
  const nn::ShardSums sums(pass, shard_sum_count());
  tensor::Matrix x = embedding_.forward(pass);
  if (dropout_.probability > 0 && pass.is_training())
    ops::dropout(pass.context, dropout_, pass.batch.step, pass.batch.ids, x, x);
  std::size_t mixture = 0;
  index_t first_sum = 1;  // of its own, behind the loss and those of the layers before
  for (const auto& branch : branches_) {
    x = branch->forward(pass, x, [&] {
      if (mixture == mixtures_.size() || mixtures_[mixture].body != &branch->body()) return;
      count(pass, mixture, sums, first_sum, statistics);
      first_sum += mixtures_[mixture++].module->sums().width();
    });
  }
  const nn::TokenEmbedding::Scores scores = embedding_.score(pass, norm_.forward(pass, x));
  for (index_t n = 0; n < x.rows; ++n)
    statistics.errors() += scores.predicted[n] != pass.batch.labels[n] ? 1 : 0;
  statistics.samples() += x.rows;
  pass.context.pool().parallel_for(pass.tiles().local_count(), [&](index_t tile) {
    const IndexRange rows = pass.tiles().rows(tile);
    ops::add_sum(pass.context, scores.losses.subspan(rows.begin, rows.size()), sums.of(tile)[0]);
  });
  collect(pass, sums, statistics);
}

tensor::Matrix TokenModel::logits(const nn::Pass& of_batch) {
  trace_.clear();
  const nn::Pass pass = own(of_batch);
  pass.clock.enter(Phase::other);
  tensor::Matrix x = embedding_.forward(pass);
  for (const auto& branch : branches_) x = branch->forward(pass, x, [] {});
  return embedding_.logits(pass, norm_.forward(pass, x));
}

void TokenModel::count(const nn::Pass& pass, std::size_t mixture, const nn::ShardSums& shards,
                       index_t first_sum, moe::Statistics& statistics) {
  const Mixture& counted = mixtures_[mixture];
  const index_t rows_per_token = counted.rows_per_token;
  counted.module->count(statistics.layers[mixture].routing);
  pass.context.pool().parallel_for(pass.tiles().local_count(), [&](index_t tile) {
    const IndexRange rows = pass.tiles().rows(tile);
    counted.module->sums().add_shard(pass.context, {rows.begin * rows_per_token, rows.end * rows_per_token},
                                     shards.of(tile).subspan(first_sum));
  });
}

// Sums over the global batch: the loss, then each layer's.
void TokenModel::collect(const nn::Pass& pass, const nn::ShardSums& shards, moe::Statistics& statistics) {
  Span<const double> sums = shards.join(pass);
  statistics.task_loss_sum = sums[0];
  statistics.likelihood_loss_sum = pass.is_training() ? 0.0 : sums[0];
  sums = sums.subspan(1);
  std::ranges::fill(regulariser_losses_, 0.0);
  for (std::size_t m = 0; m < mixtures_.size(); ++m) {
    moe::RoutingSums& of_layer = mixtures_[m].module->sums();
    of_layer.complete(sums.first(of_layer.width()), pass.tiles().total_rows() * mixtures_[m].rows_per_token,
                      statistics.layers[m].routing);
    sums = sums.subspan(of_layer.width());
    const Vector<double>& losses = of_layer.regulariser_losses();
    for (std::size_t kind = 0; kind < losses.size(); ++kind) regulariser_losses_[kind] += losses[kind];
  }
}

bool TokenModel::all_finite() const {
  return std::ranges::all_of(mixtures_, [](const Mixture& m) { return m.module->sums().all_finite(); });
}

void TokenModel::expect_finite(const moe::Statistics& statistics, Span<const double>) const {
  if (!std::isfinite(statistics.task_loss_sum))
    throw_agreed(ErrorKind::numeric, fmt::format("the loss is {}", statistics.task_loss_sum));
  for (const auto& [name, body, module, rows_per_token] : mixtures_) {
    if (!module->sums().all_finite())
      throw_agreed(ErrorKind::numeric, fmt::format("a score of the router of {} is not finite", name));
  }
}

void TokenModel::backward(const nn::Pass& of_batch) {
  const nn::Pass pass = own(of_batch);
  trunk_.gradients().begin(pass);
  tensor::Matrix d = norm_.backward(pass, embedding_.d_y(), nn::Wants::input_gradient);
  for (auto branch = branches_.rbegin(); branch != branches_.rend(); ++branch) d = (*branch)->backward(pass, d);
  if (dropout_.probability > 0) ops::dropout(pass.context, dropout_, pass.batch.step, pass.batch.ids, d, d);
  embedding_.backward(pass, d);
}

void TokenModel::reduce_gradients(const nn::Pass& pass) {
  for (const auto& branch : branches_) branch->reduce_gradients(pass);
  pass.clock.enter(Phase::reduction);
  trunk_.gradients().reduce(pass);
}

void TokenModel::gather_updated_values() {
  trunk_.gradients().gather_updated_values(resources_.context);
  for (const auto& branch : branches_) branch->body().gather_updated_values(resources_.context);
}

void TokenModel::after_update(device::Context&, Span<const std::int64_t> counts) {
  read_counts(counts, of_batch_);
  for (std::size_t m = 0; m < mixtures_.size(); ++m)
    mixtures_[m].module->layer().after_update(of_batch_.layers[m].routing);
}

void TokenModel::values_changed() {
  for (const auto& branch : branches_) branch->body().values_changed(resources_.context);
}

std::vector<nn::ParameterSlice> TokenModel::slices() {
  std::vector<nn::ParameterSlice> all = trunk_.slices(norm_table_);
  for (const auto& branch : branches_) branch->body().add_slices(norm_table_, all);
  return all;
}

std::vector<nn::NamedArray> TokenModel::parameters() {
  std::vector<nn::NamedArray> all = trunk_.arrays();
  for (const auto& branch : branches_) branch->body().add_parameters(all);
  return all;
}

std::vector<nn::NamedArray> TokenModel::state() {
  std::vector<nn::NamedArray> all;
  for (const auto& branch : branches_) branch->body().add_state(all);
  return all;
}

Score TokenModel::worst_score() const { return {"loss", std::numeric_limits<double>::max()}; }

}  // namespace switchyard::model
