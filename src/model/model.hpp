// A model: all that training, runs and commands know of what learns.
//
// model: models, put together from the rooms below. A model knows its loss and its parameters; it does not
// step.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "comm/resources.hpp"
#include "model/options.hpp"
#include "moe/figures.hpp"
#include "moe/statistics.hpp"
#include "nn/cost.hpp"
#include "nn/parameter_slice.hpp"
#include "nn/pass.hpp"

namespace switchyard::model {

// What the data ask of a model.
struct Task {
  tensor::SampleShape sample;
  index_t classes = 0;
  index_t groups = 0;  // kinds of samples besides classes, for analysis
  std::shared_ptr<const moe::Statistics::Names> names = moe::Statistics::no_names();
  index_t window = 0;                     // tokens of a sample that is a sequence of them; 0: it is a row
  index_t targets = 0;                    // of labels that are real numbers, in place of classes
  std::vector<double> target_units = {};  // what 1 is of the data's own units, of each target
};

// The figure by which a run chooses its best checkpoint: the smaller, the better.
struct Score {
  std::string_view name;  // as evaluations and summary.json call it
  double value = 0;
};

// What a model says of each of N samples. Each has K slots: an expert that answered, and its weight. The host's
// memory.
struct Predictions {
  index_t slots = 0;                        // K
  Span<const std::int32_t> predicted = {};  // [N], the class
  tensor::ConstMatrix probabilities = {};   // [N, C], of the classes
  tensor::ConstMatrix values =
      {};  // [N, T], in place of both where labels are real numbers, scaled as they are
  Span<const std::int32_t> experts = {};  // [N, K]
  tensor::ConstMatrix gate_weights = {};  // [N, K], 0 where the expert had no place left (moe.capacity)
  tensor::RowSource expert_outputs = {};  // [N * K, outputs of an expert], slot by slot
  Span<const std::uint8_t> dropped = {};  // [N * K], 1 where that is not there; empty: nowhere
};

// The loss is a mean over the global batch, and regularisers. Collective over the ranks of the model's
// resources, but for what is said to be local.
class Model {
 public:
  virtual ~Model() = default;
  Model(const Model&) = delete;
  Model& operator=(const Model&) = delete;

  // Of the size that read() fills. Local.
  virtual moe::Statistics statistics() const = 0;
  // How many sums and counts a batch has. Local.
  virtual index_t sum_count() const = 0;
  virtual index_t count_count() const = 0;
  // Forward and loss. Adds the batch's figures to what is in `figures`; regularisers count by batch.share.
  // Waits for nothing that it measures, and takes any number: see expect_finite().
  virtual void forward(const nn::Pass& pass, moe::BatchFigures figures) = 0;
  // From figures of one batch or several, on the host, to statistics, and to the regularisers' losses in the
  // order of moe::regulariser_kinds(). Whether experts were limited is known of the last batch. Local.
  virtual void read(Span<const double> sums, Span<const std::int64_t> counts, moe::Statistics& statistics,
                    Vector<double>& regularisers) const = 0;
  // Throws NumericError if the loss of these figures is not finite, or a score by which experts were chosen: on
  // all ranks alike, whose sums are the same. `statistics` are those that read() made of `sums`.
  virtual void expect_finite(const moe::Statistics& statistics, Span<const double> sums) const = 0;
  // Of this rank's samples of the last batch, in evaluation; memory of the step. Waits. Nothing of a model of
  // tokens. Local.
  virtual std::optional<Predictions> predictions(const nn::Pass& /*pass*/) { return {}; }
  // Gradients of all activations, then of all parameters.
  virtual void backward(const nn::Pass& pass) = 0;
  virtual void reduce_gradients(const nn::Pass& pass) = 0;
  // After the update of slices(): every rank gets what the others changed.
  virtual void gather_updated_values() = 0;
  // Then, with the counts of all ranks and parts of the batch, in the memory of the context: what moves without
  // a gradient. Local.
  virtual void after_update(device::Context& context, Span<const std::int64_t> counts) = 0;
  // After parameters() were written from outside. Local.
  virtual void values_changed() = 0;

  // What this rank updates; norm_entry is a place in norm_table(). Local.
  virtual std::vector<nn::ParameterSlice> slices() = 0;
  // Over the whole model, the same on every rank.
  virtual const nn::NormTable& norm_table() const = 0;
  // What this rank holds of the parameters and of the state beside them, for checkpoints. Local.
  virtual std::vector<nn::NamedArray> parameters() = 0;
  virtual std::vector<nn::NamedArray> state() = 0;

  // Of an evaluation, and the score that a best checkpoint must beat. Local.
  virtual Score score(const moe::Statistics& statistics) const = 0;
  virtual Score worst_score() const = 0;

  // Of a row (a token, or a sample that is one) through all that sees it, and of the whole model, on all ranks
  // together: model/outline.hpp. Local.
  virtual const nn::Cost& cost() const = 0;

 protected:
  Model() = default;
};

// Throws ConfigError, and OutOfMemory for a model that no memory of this host would hold. Local.
std::unique_ptr<Model> make_model(const ModelOptions& options, const Task& task, comm::Resources resources);

}  // namespace switchyard::model
