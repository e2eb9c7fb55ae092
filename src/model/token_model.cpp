#include "model/token_model.hpp"

#include <fmt/format.h>

#include <array>
#include <cmath>
#include <limits>

#include "base/error.hpp"
#include "base/hash.hpp"
#include "device/copy.hpp"
#include "ops/rows.hpp"

namespace switchyard::model {
namespace {

constexpr index_t own_counts = 2;

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
        {scope.substr(0, scope.size() - 1), module.get(), &module->mixture(), mixture->sub_heads, {}});
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
      norm_(trunk_, "norm", width_) {
  for (const Branch& branch : outline.branches) add_branch(options, branch);
  trunk_.hold(resources.data_plane, options.seed, options.memory);
  // Unit 0 is the trunk.
  trunk_.add_norms(norm_table_);
  for (const auto& branch : branches_) branch->body().add_norms(norm_table_);
  place_figures();
}

moe::Statistics TokenModel::statistics() const {
  std::vector<moe::Statistics::Layer> layers;
  for (const Mixture& mixture : mixtures_) {
    const index_t experts = mixture.module->layer().router().options().experts;
    layers.push_back({mixture.name, moe::RoutingStatistics(
                                        experts, {.groups = task_.groups, .group = "domain", .row = "token"})});
  }
  moe::Statistics statistics(std::move(layers));
  statistics.names = task_.names;
  return statistics;
}

// Behind the model's own: two sums of losses; and counts of samples and errors.
void TokenModel::place_figures() {
  const moe::Statistics empty = statistics();
  first_loss_ = Columns::of_layers;
  count_count_ = own_counts;
  for (std::size_t m = 0; m < mixtures_.size(); ++m) {
    Mixture& mixture = mixtures_[m];
    mixture.first_sum = first_loss_;
    first_loss_ += mixture.module->sums().width();
    mixture.counted = moe::count_places(empty.layers[m].routing);
    mixture.first_count = count_count_;
    count_count_ += mixture.counted.columns.width;
  }
}

void TokenModel::forward(const nn::Pass& of_batch, moe::BatchFigures figures) {
  trace_.clear();
  const nn::Pass pass = own(of_batch);
  device::Context& context = pass.context;
  pass.clock.enter(Phase::other);
  const nn::ShardSums shards(pass, first_loss_);
  tensor::Matrix x = embedding_.forward(pass);
  if (dropout_.probability > 0 && pass.is_training())
    ops::dropout(context, dropout_, pass.batch.step, pass.batch.ids, x, x);
  auto mixture = mixtures_.begin();
  for (const auto& branch : branches_) {
    x = branch->forward(pass, x, [&] {
      if (mixture != mixtures_.end() && mixture->body == &branch->body())
        measure(pass, *mixture++, shards, figures.counts);
    });
  }
  const nn::TokenEmbedding::Scores scores = embedding_.score(pass, norm_.forward(pass, x));
  ops::add_counts(context,
                  {.rows = x.rows, .labels = pass.batch.labels.data(), .predicted = scores.predicted.data()},
                  {.errors = 1, .width = own_counts}, std::array{ops::KnownCount{0, 1, x.rows}},
                  figures.counts.first(own_counts));
  const ops::TileSums sums = shards.of(pass.tiles());
  ops::RowFigures losses;
  losses.add(scores.losses, sums, Columns::task_loss);
  if (!pass.is_training()) losses.add(scores.losses, sums, Columns::likelihood_loss);
  ops::add_figures(context, sums, losses);
  complete(pass, shards, figures.sums);
}

tensor::Matrix TokenModel::logits(const nn::Pass& of_batch) {
  trace_.clear();
  const nn::Pass pass = own(of_batch);
  pass.clock.enter(Phase::other);
  tensor::Matrix x = embedding_.forward(pass);
  for (const auto& branch : branches_) x = branch->forward(pass, x, [] {});
  return embedding_.logits(pass, norm_.forward(pass, x));
}

void TokenModel::measure(const nn::Pass& pass, const Mixture& mixture, const nn::ShardSums& shards,
                         Span<std::int64_t> counts) {
  mixture.module->add_counts(pass.context, mixture.counted,
                             counts.subspan(mixture.first_count, mixture.counted.columns.width));
  mixture.module->add_shards(pass, shards, mixture.first_sum);
}

// Losses of all layers are added up before they count by the batch's share.
void TokenModel::complete(const nn::Pass& pass, const nn::ShardSums& shards, Span<double> sums) {
  const Span<const double> of_batch = shards.join(pass, sums.first(first_loss_));
  const Span<double> losses = pass.workspace().allocate<double>(std::ssize(moe::regulariser_kinds()));
  device::zero_on_device<double>(pass.context, losses);
  bool any = false;
  for (const Mixture& mixture : mixtures_) {
    moe::RoutingSums& of_layer = mixture.module->sums();
    of_layer.complete(pass.context, of_batch.subspan(mixture.first_sum, of_layer.width()),
                      pass.tiles().total_rows() * mixture.rows_per_token, pass.batch.share, losses);
    any = any || of_layer.has_regularisers();
  }
  if (any) ops::add_scaled(pass.context, losses, pass.batch.share, sums.subspan(first_loss_));
}

void TokenModel::read(Span<const double> sums, Span<const std::int64_t> counts, moe::Statistics& statistics,
                      Vector<double>& regularisers) const {
  statistics.set_counts(counts);
  statistics.task_loss_sum = sums[Columns::task_loss];
  statistics.likelihood_loss_sum = sums[Columns::likelihood_loss];
  for (std::size_t m = 0; m < mixtures_.size(); ++m) {
    moe::RoutingStatistics& of_layer = statistics.layers[m].routing;
    of_layer.is_limited = mixtures_[m].module->is_limited();
    mixtures_[m].module->sums().read(sums.subspan(mixtures_[m].first_sum), of_layer);
  }
  const Span<const double> losses = sums.subspan(first_loss_);
  regularisers.assign(losses.begin(), losses.end());
}

void TokenModel::expect_finite(const moe::Statistics& statistics, Span<const double> sums) const {
  if (!std::isfinite(statistics.task_loss_sum))
    throw_agreed(ErrorKind::numeric, fmt::format("the loss is {}", statistics.task_loss_sum));
  for (const Mixture& mixture : mixtures_) {
    if (!moe::RoutingSums::all_finite(sums.subspan(mixture.first_sum)))
      throw_agreed(ErrorKind::numeric, fmt::format("a score of the router of {} is not finite", mixture.name));
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

void TokenModel::after_update(device::Context& context, Span<const std::int64_t> counts) {
  for (const Mixture& mixture : mixtures_) {
    mixture.module->layer().after_update(
        context,
        counts.subspan(mixture.first_count + mixture.counted.columns.loads, mixture.counted.columns.experts));
  }
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
