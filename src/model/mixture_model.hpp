// A mixture of experts: gate, experts, objective and regularisers, assembled from a configuration.
//
// model: models, put together from the rooms below. A model knows its loss and its parameters; it does not
// step.
#pragma once

#include <memory>
#include <vector>

#include "config/config.hpp"
#include "model/objective.hpp"
#include "moe/gate_statistics.hpp"
#include "moe/layer.hpp"
#include "moe/similarity.hpp"

namespace switchyard::model {

// What the data ask of a model.
struct Task {
  tensor::SampleShape sample;
  index_t classes = 0;
  index_t groups = 0;  // kinds of samples besides classes, for analysis
};

// One rank's share of a batch, in global order.
struct Batch {
  const nn::BatchTiles* tiles = nullptr;
  moe::Samples samples;
  std::span<const std::int32_t> labels;  // [N]
  std::span<const std::int32_t> groups;  // [N], or empty
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
moe::LayerOptions layer_options(const config::Config& config, const Task& task);

// What the regularisers add to the loss of the last forward's batch, weighted. load and similarity are of
// training batches only, and 0 in evaluation.
struct RegulariserLosses {
  double importance = 0;
  double balance = 0;
  double z_loss = 0;
  double entropy = 0;
  double load = 0;
  double similarity = 0;

  double total() const { return importance + balance + z_loss + entropy + load + similarity; }
};

// L = the objective's mean over the global batch + regularisers. All methods are collective over the
// communicator's ranks.
class MixtureModel {
 public:
  MixtureModel(const config::Config& config, const Task& task, comm::Communicator& communicator);

  // Forward and loss. On return `statistics` holds the batch's sums over all ranks, and the counts of this rank
  // (they are summed where the step agrees). Throws NumericError on all ranks if the loss or a score of the
  // gate is not finite.
  void forward(device::Context& context, const Batch& batch, nn::Mode mode, PhaseClock& clock,
               moe::GateStatistics& statistics);
  const RegulariserLosses& regulariser_losses() const { return regulariser_losses_; }
  // Of the size that forward() fills.
  moe::GateStatistics statistics() const { return {options_.routing.experts, task_.classes, task_.groups}; }
  // Gradients of all activations, then of all parameters.
  void backward(device::Context& context, const Batch& batch, PhaseClock& clock);
  void reduce_gradients(device::Context& context, const Batch& batch, PhaseClock& clock);
  // After the update of slices(): every rank gets what the others changed.
  void gather_updated_values(device::Context& context);
  // After parameters() were written from outside. Local.
  void values_changed(device::Context& context) { layer_.values_changed(context, moe::Layer::Changed::all); }

  // What this rank updates; norm_entry is a place in norm_table().
  std::vector<nn::ParameterSlice> slices();
  // Over all networks of the model, the same on every rank.
  const nn::NormTable& norm_table() const { return norm_table_; }

  const moe::LayerOptions& options() const { return options_; }
  index_t parameter_count() const;
  index_t gate_parameters() const { return options_.gate.parameter_count(); }
  index_t expert_parameters() const { return options_.expert.parameter_count(); }
  // Of one sample in a training step, through the gate and the experts that see it.
  index_t training_multiply_adds_per_sample() const {
    return options_.gate.training_multiply_adds() +
           layer_.gate().slots() * options_.expert.training_multiply_adds();
  }
  // Parameters and state, for checkpoints.
  std::vector<ModelArray> parameters();
  std::vector<ModelArray> state();
  moe::Layer& layer() { return layer_; }
  index_t classes() const { return task_.classes; }

 private:
  struct SumColumns;
  // Of each of this rank's samples; all but the first only where a regulariser needs them.
  struct SampleValues {
    std::span<double> weight_entropies;
    std::span<double> squared_log_sums;
    std::span<double> score_entropies;
    moe::SimilarityTerms similarity;
  };
  void sum_shard(device::Context& context, IndexRange rows, const SumColumns& columns, const SampleValues& of,
                 std::span<double> sums) const;
  void collect(device::Context& context, const Batch& batch, nn::Mode mode, moe::GateStatistics& statistics);
  moe::SimilarityTerms measure_similarity(device::Context& context, const Batch& batch);
  void count_choices(const Batch& batch, moe::GateStatistics& statistics) const;
  void expect_finite(const moe::GateStatistics& statistics) const;
  void regularise(index_t samples, const moe::GateStatistics& statistics);

  comm::Communicator* communicator_;
  Task task_;
  double importance_weight_;
  double balance_weight_;
  double z_loss_weight_;
  double entropy_weight_;
  double load_weight_;
  moe::SimilarityWeights similarity_weights_;
  index_t similarity_layer_;
  std::unique_ptr<Objective> objective_;
  moe::LayerOptions options_;
  moe::Layer layer_;
  nn::NormTable norm_table_;

  // Of the batch between forward and backward; memory of the step.
  moe::LayerOutput output_;
  Scores scores_;
  RegulariserLosses regulariser_losses_;
  std::vector<double> importance_gradient_;
  std::vector<double> load_, probability_;  // [E] over the global batch, only for the balance loss
  std::vector<double> balance_gradient_;
  double bad_scores_ = 0;       // shards of the global batch that have some
  double squared_log_sum_ = 0;  // over the global batch, only for the z-loss or the gate's entropy
  double score_entropy_sum_ = 0;
  std::vector<double> expected_load_,
      load_gradient_;  // [E] over the global batch, only for the load regulariser
  moe::SimilarityPairs pairs_;
  moe::SimilaritySums similarity_sums_;   // over the global batch
  tensor::ConstMatrix sample_distances_;  // [N, E]: V of moe/similarity.hpp, of this rank
  double similarity_slope_ = 0;
};

}  // namespace switchyard::model
