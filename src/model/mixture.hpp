// A mixture of experts: gate, experts, head and regularisers, assembled from a configuration.
#pragma once

#include <memory>
#include <vector>

#include "base/span.hpp"
#include "model/head.hpp"
#include "model/host_figures.hpp"
#include "model/outline.hpp"
#include "moe/layer.hpp"
#include "moe/routing_sums.hpp"

namespace switchyard::model {

// L = the head's mean over the global batch + regularisers. forward() also throws NumericError if a score
// of the gate is not finite.
class Mixture final : public Model {
 public:
  Mixture(const ModelOptions& mixture, const Task& task, comm::Resources resources)
      : Mixture(mixture, task, resources, outline(mixture, task)) {}

  moe::Statistics statistics() const override;
  index_t sum_count() const override { return host_sum_count(statistics(), std::ssize(regulariser_losses())); }
  index_t count_count() const override { return host_count_count(statistics()); }
  void forward(const nn::Pass& pass, moe::BatchFigures figures) override;
  void read(Span<const double> sums, Span<const std::int64_t> counts, moe::Statistics& statistics,
            Vector<double>& regularisers) const override;
  void expect_finite(const moe::Statistics& statistics, Span<const double> sums) const override;
  void measure(const nn::Pass& pass, moe::Statistics& statistics);
  std::optional<Predictions> predictions(const nn::Pass& pass) override;
  const Vector<double>& regulariser_losses() const { return sums_.regulariser_losses(); }
  void backward(const nn::Pass& pass) override;
  void reduce_gradients(const nn::Pass& pass) override { layer_.reduce_gradients(pass); }
  void gather_updated_values() override { layer_.gather_updated_values(resources_.context); }
  void after_update(device::Context&, Span<const std::int64_t> counts) override {
    read_counts(counts, of_batch_);
    layer_.after_update(of_batch_.routing());
  }
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
  void count(const nn::Pass& pass, moe::Statistics& statistics) const;
  void collect(const nn::Pass& pass, moe::Statistics& statistics);
  void weigh(const nn::Pass& pass, const moe::SlotGradients& gradients) const;
  tensor::Matrix probabilities(const nn::Pass& pass);
  moe::Statistics of_batch_;

  comm::Resources resources_;
  Task task_;
  Loss loss_;
  std::unique_ptr<Head> head_;
  nn::Cost cost_;
  moe::RoutingSums sums_;
  moe::LayerOptions options_;
  moe::Layer layer_;
  nn::NormTable norm_table_;

  // Of the batch between forward and backward; memory of the step.
  moe::LayerOutput output_;
  Scores scores_;
};

}  // namespace switchyard::model
