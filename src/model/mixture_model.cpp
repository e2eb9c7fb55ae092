#include "model/mixture_model.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/contract.hpp"
#include "base/error.hpp"
#include "config/class_partition.hpp"
#include "moe/balance.hpp"
#include "moe/importance.hpp"
#include "ops/reduce.hpp"
#include "ops/rows.hpp"

namespace switchyard::model {
namespace {

std::size_t at(index_t i) { return static_cast<std::size_t>(i); }

using Kind = config::LayerSpec::Kind;

moe::GateKind gate_kind(std::span<const config::LayerSpec> gate) {
  if (gate.empty()) return moe::GateKind::single;
  const Kind scoring = config::scoring_layer(gate);
  if (scoring == Kind::attention) return moe::GateKind::attention;
  if (scoring == Kind::loudest) return moe::GateKind::loudest;
  if (scoring == Kind::labels) return moe::GateKind::labels;
  return moe::GateKind::network;
}

// The partition by label. Throws ConfigError unless it has the task's classes, all of them.
std::vector<std::int32_t> expert_of_label(const config::Config& config, index_t classes) {
  const auto groups = config::parse_partition(config.moe.partition, config.moe.experts);
  std::vector<std::int32_t> expert(at(classes), -1);
  for (std::size_t e = 0; e < groups.size(); ++e) {
    for (const std::int32_t label : groups[e]) {
      if (label >= classes) {
        throw ConfigError(fmt::format(
            "moe.partition has label {}, and the data have {} classes (from 0); remove it", label, classes));
      }
      expert[at(label)] = static_cast<std::int32_t>(e);
    }
  }
  const auto missing = std::ranges::find(expert, -1);
  if (missing != expert.end()) {
    throw ConfigError(
        fmt::format("moe.partition leaves out label {} of {} (its samples would have no expert); add it",
                    missing - expert.begin(), classes));
  }
  return expert;
}

// The gate's network, if it has one: `hidden` is the width of an expert's hidden vector.
nn::NetworkShape gate_shape(std::span<const config::LayerSpec> gate, moe::GateKind kind,
                            const config::Config& config, const Task& task, index_t hidden) {
  switch (kind) {
    case moe::GateKind::network:
      return nn::NetworkShape::resolve("gate", gate, task.sample, config.moe.experts);
    case moe::GateKind::attention:
      if (hidden == 0) {
        throw ConfigError(
            fmt::format("model.gate ends in attention:experts, and model.expert = '{}' has no hidden vector to "
                        "attend to (that of the dense layer before the last); write such as: dense:32 relu "
                        "dense:classes",
                        config.model.expert));
      }
      return nn::NetworkShape::resolve("gate", gate, task.sample, hidden);
    case moe::GateKind::loudest:
    case moe::GateKind::labels:
    case moe::GateKind::single:
      return {};
  }
  return {};
}

void check_similarity_layer(const config::Moe& moe, const nn::NetworkShape& gate) {
  if (moe.similarity_layer > gate.layer_count()) {
    throw ConfigError(fmt::format(
        "moe.similarity_layer = {} (model.gate has {} layers with weights); give one of them, or 0 for the "
        "samples themselves",
        moe.similarity_layer, gate.layer_count()));
  }
}

// V-MoE (Riquelme et al. 2021) has normal noise with standard deviation 1/E.
double noise_scale(const config::Moe& moe) {
  if (moe.noise_scale > 0) return moe.noise_scale;
  return moe.noise == config::GateNoise::normal ? 1.0 / static_cast<double>(moe.experts) : 1.0;
}

}  // namespace

moe::LayerOptions layer_options(const config::Config& config, const Task& task) {
  const auto gate = config::parse_network(config.model.gate, config::NetworkRole::gate);
  const moe::GateKind kind = gate_kind(gate);
  const std::unique_ptr<Objective> objective = Objective::make(config, task.classes);
  const config::InitialValues init = config.model.init;
  const auto draw = static_cast<std::uint32_t>(config.init.draw);
  nn::NetworkShape expert = nn::NetworkShape::resolve(
      "expert", config::parse_network(config.model.expert, config::NetworkRole::expert), task.sample,
      objective->outputs());
  expert.shows_hidden = kind == moe::GateKind::attention;
  const nn::NetworkShape network = gate_shape(gate, kind, config, task, expert.hidden());
  check_similarity_layer(config.moe, network);
  return {.gate = network,
          .expert = expert,
          .outputs = objective->outputs(),
          .routing = {.kind = kind,
                      .experts = config.moe.experts,
                      .top_k = config.moe.top_k,
                      .classes = task.classes,
                      .measure = objective->measure(),
                      .value = config.moe.gate_value,
                      .noise = config.moe.noise,
                      .noise_scale = noise_scale(config.moe),
                      .noise_draw = config.moe.noise_draw,
                      .noise_when = config.moe.noise_when,
                      .expert_of_label = kind == moe::GateKind::labels ? expert_of_label(config, task.classes)
                                                                       : std::vector<std::int32_t>{}},
          .head = objective->head(),
          .gate_options = {{.replicated = true,
                            .batch_size = config.train.batch_size,
                            .shards = config.train.shards},
                           config.train.precision,
                           {init, config.model.gate_init_scale, draw},
                           config.train.freeze == config::Freeze::gate},
          .expert_options = {{},
                             config.train.precision,
                             {init, config.model.expert_init_scale, draw},
                             config.train.freeze == config::Freeze::experts},
          .seed = config.run.seed};
}

MixtureModel::MixtureModel(const config::Config& config, const Task& task, comm::Communicator& communicator)
    : communicator_(&communicator),
      task_(task),
      importance_weight_(config.moe.importance),
      balance_weight_(config.moe.balance),
      z_loss_weight_(config.moe.z_loss),
      entropy_weight_(config.moe.gate_entropy),
      load_weight_(config.moe.load),
      similarity_weights_{config.moe.similarity, config.moe.similarity_same, config.moe.similarity_different},
      similarity_layer_(config.moe.similarity_layer),
      objective_(Objective::make(config, task.classes)),
      options_(layer_options(config, task)),
      layer_(options_, communicator,
             moe::Placement::make(config.moe.placement, config.moe.experts, communicator.size())) {
  const std::size_t experts = at(config.moe.experts);
  if (importance_weight_ > 0) importance_gradient_.resize(experts);
  if (balance_weight_ > 0) {
    for (auto* values : {&load_, &probability_, &balance_gradient_}) values->resize(experts);
  }
  if (load_weight_ > 0) {
    for (auto* values : {&expected_load_, &load_gradient_}) values->resize(experts);
  }
  // From the shapes, since a rank may host no expert.
  norm_table_.add(nn::NetworkGradient::norm_parameters(options_.gate, options_.gate_options.policy));
  const std::vector<index_t> expert =
      nn::NetworkGradient::norm_parameters(options_.expert, options_.expert_options.policy);
  for (std::size_t e = 0; e < experts; ++e) norm_table_.add(expert);
}

index_t MixtureModel::parameter_count() const {
  return gate_parameters() + expert_parameters() * layer_.placement().expert_count();
}

void MixtureModel::forward(device::Context& context, const Batch& batch, nn::Mode mode, PhaseClock& clock,
                           moe::GateStatistics& statistics) {
  moe::Samples samples = batch.samples;
  samples.labels = batch.labels;
  output_ = layer_.forward(context, *batch.tiles, samples, mode, clock);
  clock.enter(Phase::combine);
  scores_ = objective_->forward(context, output_, batch.labels);
  clock.enter(Phase::other);
  count_choices(batch, statistics);
  collect(context, batch, mode, statistics);
  regularise(batch.tiles->total_rows(), statistics);
  expect_finite(statistics);
}

void MixtureModel::expect_finite(const moe::GateStatistics& statistics) const {
  if (std::isfinite(statistics.loss_sum) && bad_scores_ == 0) return;
  const std::string what =
      std::isfinite(statistics.loss_sum)
          ? std::string("a score of the gate is not finite (one of its weights overflowed)")
          : fmt::format("the loss is {} (a weight or an activation is no longer finite)", statistics.loss_sum);
  throw_agreed(ErrorKind::numeric, what +
                                       "; try a smaller optim.learning_rate, warm-up (optim.warmup_steps) or "
                                       "clipping (optim.clip_norm)");
}

void MixtureModel::regularise(index_t samples, const moe::GateStatistics& statistics) {
  if (importance_weight_ > 0) {
    regulariser_losses_.importance = moe::importance_loss(statistics.importance, importance_weight_);
    moe::importance_gradient(statistics.importance, importance_weight_, importance_gradient_);
  }
  if (balance_weight_ > 0) {
    regulariser_losses_.balance = moe::balance_loss(load_, probability_, balance_weight_);
    moe::balance_gradient(load_, samples, balance_weight_, balance_gradient_);
  }
  const auto count = static_cast<double>(samples);
  regulariser_losses_.z_loss = z_loss_weight_ * squared_log_sum_ / count;
  regulariser_losses_.entropy = entropy_weight_ * score_entropy_sum_ / count;
  if (load_weight_ > 0) {
    regulariser_losses_.load = moe::importance_loss(expected_load_, load_weight_);
    moe::importance_gradient(expected_load_, load_weight_, load_gradient_);
  }
  if (similarity_weights_.any()) {
    const index_t experts = options_.routing.experts;
    regulariser_losses_.similarity =
        moe::similarity_loss(similarity_weights_, similarity_sums_, samples, experts);
    similarity_slope_ = moe::similarity_slope(similarity_weights_, similarity_sums_, samples, experts);
  }
}

// The columns of a shard's sums.
struct MixtureModel::SumColumns {
  enum : index_t {
    loss,
    bad_scores,
    weight_entropy,
    squared_log_sum,
    score_entropy,
    distance,
    same_expert,
    importance
  };
  index_t experts;
  bool balanced;  // has load and probability
  bool loaded;    // has expected_load
  index_t load() const { return importance + experts; }
  index_t probability() const { return load() + experts; }
  index_t expected_load() const { return importance + experts * (balanced ? 3 : 1); }
  index_t count() const { return expected_load() + (loaded ? experts : 0); }
};

// One shard, sample after sample, in float64.
void MixtureModel::sum_shard(device::Context& context, IndexRange rows, const SumColumns& columns,
                             const SampleValues& of, std::span<double> sums) const {
  const moe::Routing& routing = output_.routing;
  const tensor::ConstMatrix scores = routing.noisy.rows_from(rows.begin, rows.size());
  sums[SumColumns::bad_scores] = ops::all_finite(context, scores) ? 0.0 : 1.0;
  double* const importance = sums.data() + SumColumns::importance;
  double* const load = sums.data() + columns.load();
  for (index_t n = rows.begin; n < rows.end; ++n) {
    sums[SumColumns::loss] += static_cast<double>(scores_.losses[at(n)]);
    sums[SumColumns::weight_entropy] += of.weight_entropies[at(n)];
    if (!of.score_entropies.empty()) {
      sums[SumColumns::squared_log_sum] += of.squared_log_sums[at(n)];
      sums[SumColumns::score_entropy] += of.score_entropies[at(n)];
    }
    if (!of.similarity.distances.empty()) {
      sums[SumColumns::distance] += of.similarity.distances[at(n)];
      sums[SumColumns::same_expert] += of.similarity.same_expert[at(n)];
    }
    for (index_t i = 0; i < routing.slots; ++i) {
      const std::int32_t expert = routing.experts[at(n * routing.slots + i)];
      importance[expert] += static_cast<double>(routing.weights(n, i));
      if (columns.balanced) load[expert] += 1.0;
    }
  }
  if (columns.balanced) {
    ops::add_probabilities(context, routing.scores.rows_from(rows.begin, rows.size()),
                           sums.subspan(at(columns.probability()), at(columns.experts)));
  }
  if (columns.loaded) {
    ops::ExpectedLoad load_of = layer_.gate().expected_load(routing);
    load_of.clean = load_of.clean.rows_from(rows.begin, rows.size());
    load_of.noisy = load_of.noisy.rows_from(rows.begin, rows.size());
    load_of.experts += rows.begin * routing.slots;
    ops::add_expected_load(context, load_of, sums.subspan(at(columns.expected_load()), at(columns.experts)));
  }
}

// Of the inputs, or of what a layer of the gate made of them.
moe::SimilarityTerms MixtureModel::measure_similarity(device::Context& context, const Batch& batch) {
  const tensor::RowSource features = similarity_layer_ == 0
                                         ? batch.samples.rows
                                         : tensor::RowSource(layer_.gate().layer_output(similarity_layer_));
  return pairs_.measure(context, *batch.tiles, features, output_.routing.scores);
}

// Sums over the global batch: a partial per shard, added in shard order.
void MixtureModel::collect(device::Context& context, const Batch& batch, nn::Mode mode,
                           moe::GateStatistics& statistics) {
  device::Workspace& workspace = context.workspace();
  const nn::BatchTiles& tiles = *batch.tiles;
  const moe::Routing& routing = output_.routing;
  SampleValues values{workspace.allocate<double>(routing.samples), {}, {}, {}};
  ops::entropy_rows(context, routing.weights, values.weight_entropies);
  if (z_loss_weight_ > 0 || entropy_weight_ > 0) {
    values.squared_log_sums = workspace.allocate<double>(routing.samples);
    values.score_entropies = workspace.allocate<double>(routing.samples);
    ops::score_statistics(context, routing.scores, values.squared_log_sums, values.score_entropies);
  }
  const bool training = mode == nn::Mode::training;
  if (training && similarity_weights_.any()) values.similarity = measure_similarity(context, batch);
  sample_distances_ = values.similarity.weighted_distances;
  const SumColumns columns{options_.routing.experts, balance_weight_ > 0, training && load_weight_ > 0};
  const index_t width = columns.count();
  const std::span<double> mine = workspace.allocate<double>(tiles.local_count() * width);
  std::ranges::fill(mine, 0.0);
  context.pool().parallel_for(tiles.local_count(), [&](index_t tile) {
    sum_shard(context, tiles.rows(tile), columns, values, mine.subspan(at(tile * width), at(width)));
  });
  const std::span<const double> all = tiles.gather_tiles(workspace, mine, width);
  const std::span<double> column = workspace.allocate<double>(tiles.total_count());
  const auto sum_of = [&](index_t c) {
    for (index_t tile = 0; tile < tiles.total_count(); ++tile) column[at(tile)] = all[at(tile * width + c)];
    return ops::sum_tree(column);
  };
  bad_scores_ = sum_of(SumColumns::bad_scores);
  statistics.loss_sum = sum_of(SumColumns::loss);
  statistics.entropy_sum = sum_of(SumColumns::weight_entropy);
  squared_log_sum_ = sum_of(SumColumns::squared_log_sum);
  score_entropy_sum_ = sum_of(SumColumns::score_entropy);
  similarity_sums_ = {sum_of(SumColumns::distance), sum_of(SumColumns::same_expert)};
  for (index_t e = 0; e < columns.experts; ++e) {
    statistics.importance[at(e)] = sum_of(SumColumns::importance + e);
    if (load_weight_ > 0) expected_load_[at(e)] = columns.loaded ? sum_of(columns.expected_load() + e) : 0.0;
    if (!columns.balanced) continue;
    load_[at(e)] = sum_of(columns.load() + e);
    probability_[at(e)] = sum_of(columns.probability() + e);
  }
}

void MixtureModel::count_choices(const Batch& batch, moe::GateStatistics& statistics) const {
  const moe::Routing& routing = output_.routing;
  statistics.samples() += routing.samples;
  statistics.sent_rows() += layer_.plan().sent_rows();
  for (index_t n = 0; n < routing.samples; ++n) {
    const std::int32_t label = batch.labels[at(n)];
    statistics.errors() += scores_.predicted[at(n)] != label ? 1 : 0;
    index_t chosen = 0;
    for (index_t i = 0; i < routing.slots; ++i) {
      ++statistics.load(routing.experts[at(n * routing.slots + i)]);
      if (routing.log_weights(n, i) > routing.log_weights(n, chosen)) chosen = i;
    }
    const index_t expert = routing.experts[at(n * routing.slots + chosen)];
    ++statistics.by_label(label, expert);
    ++statistics.by_prediction(objective_->class_of(output_.slot_rows()[at(n * routing.slots + chosen)]),
                               expert);
    if (!batch.groups.empty()) ++statistics.by_group(batch.groups[at(n)], expert);
  }
}

void MixtureModel::backward(device::Context& context, const Batch& batch, PhaseClock& clock) {
  clock.enter(Phase::combine);
  const moe::Layer::Gradients gradients = layer_.begin_backward(context, *batch.tiles);
  const auto scale = static_cast<float>(1.0 / static_cast<double>(batch.tiles->total_rows()));
  objective_->backward(context, output_, batch.labels, scale, gradients);
  layer_.backward(context, *batch.tiles, output_, gradients,
                  {.importance = importance_gradient_,
                   .probability = balance_gradient_,
                   .load = load_gradient_,
                   .z_loss = z_loss_weight_,
                   .entropy = entropy_weight_,
                   .sample_probability = sample_distances_,
                   .sample_scale = similarity_slope_},
                  clock);
}

void MixtureModel::reduce_gradients(device::Context& context, const Batch& batch, PhaseClock& clock) {
  layer_.reduce_gradients(context, *batch.tiles, clock);
}

void MixtureModel::gather_updated_values(device::Context& context) {
  layer_.gate().gradient().gather_updated_values(*communicator_);
  layer_.values_changed(context, moe::Layer::Changed::trained);
}

std::vector<nn::ParameterSlice> MixtureModel::slices() {
  std::vector<nn::ParameterSlice> all;
  // The table was made from shapes, slices by networks: they must agree.
  SY_EXPECTS(
      layer_.gate().network().frozen() || layer_.gate().gradient().norm_entries() == norm_table_.unit_begin[1],
      "{} norm entries of the gate", layer_.gate().gradient().norm_entries());
  for (const nn::ParameterSlice& slice : layer_.gate().gradient().slices()) all.push_back(slice);
  moe::Experts& experts = layer_.experts();
  for (index_t e = 0; e < experts.count(); ++e) {
    for (nn::ParameterSlice slice : experts.gradient(e).slices()) {
      slice.unit = 1 + experts.id(e).index();
      slice.norm_entry += norm_table_.unit_begin[at(slice.unit)];
      all.push_back(slice);
    }
  }
  return all;
}

std::vector<ModelArray> MixtureModel::parameters() {
  std::vector<ModelArray> arrays;
  const auto add = [&](nn::Network& network, bool shared) {
    for (index_t l = 0; l < network.layer_count(); ++l) {
      for (nn::Parameter& p : network.layer(l).parameters()) {
        arrays.push_back({p.name, p.value.shape(), {0, p.value.shape()[0]}, p.value.data(), shared});
      }
    }
  };
  add(layer_.gate().network(), true);
  for (index_t e = 0; e < layer_.experts().count(); ++e) add(layer_.experts().network(e), false);
  return arrays;
}

std::vector<ModelArray> MixtureModel::state() {
  std::vector<ModelArray> arrays;
  const auto add = [&](nn::Network& network, bool shared) {
    for (index_t l = 0; l < network.layer_count(); ++l) {
      for (nn::StateArray& s : network.layer(l).state()) {
        arrays.push_back({s.name, s.value.shape(), {0, s.value.shape()[0]}, s.value.data(), shared});
      }
    }
  };
  add(layer_.gate().network(), true);
  for (index_t e = 0; e < layer_.experts().count(); ++e) add(layer_.experts().network(e), false);
  return arrays;
}

}  // namespace switchyard::model
