// The original mixture of experts: gate, experts, likelihood and regulariser, assembled from a configuration.
//
// model: models, put together from the rooms below. A model knows its loss and its parameters; it does not
// step.
#pragma once

#include <vector>

#include "config/config.hpp"
#include "moe/gate_statistics.hpp"
#include "moe/layer.hpp"
#include "ops/mixture.hpp"

namespace switchyard::model {

// One rank's share of a batch. images: [N, features] in global order, labels: [N].
struct Batch {
  const nn::BatchTiles* tiles = nullptr;
  tensor::ConstMatrix images;
  std::span<const std::int32_t> labels;
};

// An array of the model for a checkpoint: rows [rows.begin, rows.end) of the whole are at `data`.
struct ModelArray {
  std::string name;
  tensor::Shape shape;
  IndexRange rows;
  float* data = nullptr;
  bool shared = false;  // every rank has it; one copy is written
};

// What a configuration makes of samples of that shape, before anything is allocated. Throws ConfigError.
moe::LayerOptions layer_options(const config::Config& config, nn::ImageShape input, index_t classes);

// L = -(1/B) sum_n log sum_i p_i(x_n) y_{i,t_n} + importance regulariser (Krishnamurthy et al. 2023, the
// original mixture; reference V1 and section 1.2). All methods are collective over the communicator's ranks.
class MixtureModel {
 public:
  MixtureModel(const config::Config& config, nn::ImageShape input, index_t classes,
               comm::Communicator& communicator);

  // Forward and loss. On return `statistics` holds the batch's sums over all ranks, and the counts of this rank
  // (they are summed where the step agrees). Throws NumericError on all ranks if the loss is not finite.
  void forward(device::Context& context, const Batch& batch, nn::Mode mode, PhaseClock& clock,
               moe::GateStatistics& statistics);
  // The regulariser's value for the batch of the last forward, weighted.
  double importance_loss() const { return importance_loss_; }
  // Gradients of all activations, then of all parameters.
  void backward(device::Context& context, const Batch& batch, PhaseClock& clock);
  void reduce_gradients(device::Context& context, const Batch& batch, PhaseClock& clock);
  // After the update of slices(): every rank gets what the others changed.
  void gather_updated_values(device::Context& context);
  // After parameters() were written from outside. Local.
  void values_changed(device::Context& context) { layer_.values_changed(context); }

  // What this rank updates; norm_entry counts over all networks of the model.
  std::vector<nn::ParameterSlice> slices();
  index_t norm_entries() const;

  index_t parameter_count() const;
  index_t gate_parameters() const { return options_.gate.parameter_count(); }
  index_t expert_parameters() const { return options_.expert.parameter_count(); }
  // Of one sample's forward through the gate and the experts that see it.
  index_t multiply_adds_per_sample() const {
    return options_.gate.multiply_adds() + layer_.gate().slots() * options_.expert.multiply_adds();
  }
  // Parameters and state, for checkpoints.
  std::vector<ModelArray> parameters();
  std::vector<ModelArray> state();
  moe::Layer& layer() { return layer_; }
  index_t classes() const { return layer_.outputs(); }

 private:
  index_t gate_entries() const;
  index_t expert_entries() const;
  ops::MixtureBatch mixture_batch(const Batch& batch) const;
  void collect(device::Context& context, const Batch& batch, moe::GateStatistics& statistics);
  void count_choices(const Batch& batch, moe::GateStatistics& statistics) const;

  comm::Communicator* communicator_;
  double importance_weight_;
  moe::LayerOptions options_;
  moe::Layer layer_;

  // Of the batch between forward and backward; memory of the step.
  moe::LayerOutput output_;
  tensor::Matrix posteriors_;
  std::span<float> losses_;
  std::span<std::int32_t> predicted_;
  std::vector<double> importance_gradient_;
  double importance_loss_ = 0;
};

}  // namespace switchyard::model
