// A mixture of experts: gate, experts, head and regularisers, assembled from a configuration.
#pragma once

#include <memory>
#include <vector>

#include "base/span.hpp"
#include "model/head.hpp"
#include "model/outline.hpp"
#include "moe/layer.hpp"
#include "moe/routing_sums.hpp"

namespace switchyard::model {

// L = the head's mean over the global batch + regularisers. Scores that must be finite are the gate's.
class Mixture final : public Model {
 public:
  Mixture(const ModelOptions& mixture, const Task& task, comm::Resources resources)
      : Mixture(mixture, task, resources, outline(mixture, task)) {}

  moe::Statistics statistics() const override;
  index_t sum_count() const override;
  index_t count_count() const override { return counted_.columns.width; }
  void forward(const nn::Pass& pass, moe::BatchFigures figures) override;
  void read(Span<const double> sums, Span<const std::int64_t> counts, moe::Statistics& statistics,
            Vector<double>& regularisers) const override;
  void expect_finite(const moe::Statistics& statistics, Span<const double> sums) const override;
  std::optional<Predictions> predictions(const nn::Pass& pass) override;
  void backward(const nn::Pass& pass) override;
  void reduce_gradients(const nn::Pass& pass) override { layer_.reduce_gradients(pass); }
  void gather_updated_values() override { layer_.gather_updated_values(resources_.context); }
  void after_update(device::Context& context, Span<const std::int64_t> counts) override;
  void values_changed() override { layer_.values_changed(resources_.context, moe::Layer::Changed::all); }

  std::vector<nn::ParameterSlice> slices() override { return layer_.slices(norm_table_); }
  const nn::NormTable& norm_table() const override { return norm_table_; }
  std::vector<nn::NamedArray> parameters() override { return layer_.parameters(); }
  std::vector<nn::NamedArray> state() override { return layer_.state(); }

  Score score(const moe::Statistics& statistics) const override;
  Score worst_score() const override;

  const nn::Cost& cost() const override { return cost_; }

 private:
  Mixture(const ModelOptions& mixture, const Task& task, comm::Resources resources, const Outline& outline);
  // In the order of a batch's sums: those of the losses, then of the targets' squared errors, then the layer's,
  // then the regularisers' losses.
  struct Columns {
    enum : index_t { task_loss, likelihood_loss, of_targets };
  };
  index_t first_of_layer() const { return Columns::of_targets + task_.targets; }
  void count(const nn::Pass& pass, Span<std::int64_t> counts) const;
  void sum(const nn::Pass& pass, Span<double> sums);
  tensor::ConstMatrix gate_weights(device::Context& context) const;
  tensor::ConstMatrix probabilities(const nn::Pass& pass);

  comm::Resources resources_;
  Task task_;
  Loss loss_;
  std::unique_ptr<Head> head_;
  nn::Cost cost_;
  moe::RoutingSums sums_;
  moe::LayerOptions options_;
  moe::Layer layer_;
  moe::CountPlaces counted_;
  nn::NormTable norm_table_;

  // Of the batch between forward and backward; memory of the step.
  moe::LayerOutput output_;
  Scores scores_;
};

}  // namespace switchyard::model
