// A mixture of experts: gate, experts, objective and regularisers, assembled from a configuration.
//
// model: models, put together from the rooms below. A model knows its loss and its parameters; it does not
// step.
#pragma once

#include <memory>
#include <vector>

#include "base/span.hpp"
#include "comm/resources.hpp"
#include "model/layer_options.hpp"
#include "model/objective.hpp"
#include "model/options.hpp"
#include "model/regularisers.hpp"
#include "moe/gate_statistics.hpp"
#include "moe/layer.hpp"
#include "moe/similarity.hpp"

namespace switchyard::model {

// An array of the model for a checkpoint: rows [rows.begin, rows.end) of the whole are at `data`.
struct ModelArray {
  std::string name;
  tensor::Shape shape;
  IndexRange rows;
  float* data = nullptr;
  bool shared = false;  // every rank has it; one copy is written
};

// L = the objective's mean over the global batch + regularisers. All methods are collective over the
// communicator's ranks.
class MixtureModel {
 public:
  MixtureModel(const MixtureOptions& mixture, const Task& task, comm::Resources resources);

  // Forward and loss. On return `statistics` holds the batch's sums over all ranks, and the counts of this rank
  // (they are summed where the step agrees). Throws NumericError on all ranks if the loss or a score of the
  // gate is not finite.
  void forward(const nn::Pass& pass, moe::GateStatistics& statistics);
  const RegulariserLosses& regulariser_losses() const { return regularisers_.losses(); }
  // Of the size that forward() fills.
  moe::GateStatistics statistics() const { return {options_.routing.experts, task_.classes, task_.groups}; }
  // Gradients of all activations, then of all parameters.
  void backward(const nn::Pass& pass);
  void reduce_gradients(const nn::Pass& pass) { layer_.reduce_gradients(pass); }
  // After the update of slices(): every rank gets what the others changed.
  void gather_updated_values();
  // After parameters() were written from outside. Local.
  void values_changed() { layer_.values_changed(resources_.context, moe::Layer::Changed::all); }

  // What this rank updates; norm_entry is a place in norm_table().
  std::vector<nn::ParameterSlice> slices();
  // Over all networks of the model, the same on every rank.
  const nn::NormTable& norm_table() const { return norm_table_; }

  const moe::LayerOptions& options() const { return options_; }
  index_t parameter_count() const;
  index_t gate_parameters() const { return layer_.gate().network().parameter_count(); }
  index_t expert_parameters() const { return layer_.experts().network().parameter_count(); }
  // Of one sample in a training step, through the gate and the experts that see it; a frozen network has no
  // gradients.
  index_t training_multiply_adds_per_sample() const;
  // Parameters and state, for checkpoints.
  std::vector<ModelArray> parameters();
  std::vector<ModelArray> state();
  moe::Layer& layer() { return layer_; }
  index_t classes() const { return task_.classes; }

 private:
  struct SumColumns;
  struct OfSamples;
  OfSamples of_samples(const nn::Pass& pass) const;
  void sum_shard(device::Context& context, IndexRange rows, const OfSamples& of, Span<double> sums) const;
  void collect(const nn::Pass& pass, moe::GateStatistics& statistics);
  void count_choices(const nn::Batch& batch, moe::GateStatistics& statistics) const;
  void expect_finite(const moe::GateStatistics& statistics) const;
  // of_layer(layer): named values.
  std::vector<ModelArray> arrays(const auto& of_layer);

  comm::Resources resources_;
  Task task_;
  std::unique_ptr<Objective> objective_;
  Regularisers regularisers_;
  moe::LayerOptions options_;
  moe::Layer layer_;
  nn::NormTable norm_table_;

  // Of the batch between forward and backward; memory of the step.
  moe::LayerOutput output_;
  Scores scores_;
  double bad_scores_ = 0;  // shards of the global batch that have some
};

}  // namespace switchyard::model
