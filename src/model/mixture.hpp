// A mixture of experts: gate, experts, head and regularisers, assembled from a configuration.
#pragma once

#include <memory>
#include <vector>

#include "base/span.hpp"
#include "model/head.hpp"
#include "model/layer_options.hpp"
#include "model/model.hpp"
#include "moe/layer.hpp"
#include "moe/regularisers.hpp"

namespace switchyard::model {

// L = the head's mean over the global batch + regularisers. forward() also throws NumericError if a score
// of the gate is not finite.
class Mixture final : public Model {
 public:
  Mixture(const MixtureOptions& mixture, const Task& task, comm::Resources resources);

  moe::Statistics statistics() const override {
    return moe::Statistics(
        {{"", moe::RoutingStatistics(options_.routing.experts, {task_.classes, task_.groups})}});
  }
  void forward(const nn::Pass& pass, moe::Statistics& statistics) override;
  const Vector<double>& regulariser_losses() const override { return regularisers_.losses(); }
  void backward(const nn::Pass& pass) override;
  void reduce_gradients(const nn::Pass& pass) override { layer_.reduce_gradients(pass); }
  void gather_updated_values() override;
  void values_changed() override { layer_.values_changed(resources_.context, moe::Layer::Changed::all); }

  std::vector<nn::ParameterSlice> slices() override;
  const nn::NormTable& norm_table() const override { return norm_table_; }
  std::vector<ModelArray> parameters() override;
  std::vector<ModelArray> state() override;

  Score score(const moe::Statistics& statistics) const override { return {"error", statistics.error()}; }
  Score worst_score() const override { return {"error", 1.0}; }

  index_t parameter_count() const override;
  index_t training_multiply_adds_per_sample() const override;

 private:
  struct SumColumns;
  struct OfSamples;
  OfSamples of_samples(const nn::Pass& pass) const;
  void sum_shard(device::Context& context, IndexRange rows, const OfSamples& of, Span<double> sums) const;
  void collect(const nn::Pass& pass, moe::Statistics& statistics);
  void count_choices(const nn::Batch& batch, moe::Statistics& statistics) const;
  void expect_finite(const moe::Statistics& statistics) const;
  // of_layer(layer): named values.
  std::vector<ModelArray> arrays(const auto& of_layer);

  comm::Resources resources_;
  Task task_;
  std::unique_ptr<Head> head_;
  moe::Regularisers regularisers_;
  moe::LayerOptions options_;
  moe::Layer layer_;
  nn::NormTable norm_table_;

  // Of the batch between forward and backward; memory of the step.
  moe::LayerOutput output_;
  Scores scores_;
  double bad_scores_ = 0;  // shards of the global batch that have some
};

}  // namespace switchyard::model
