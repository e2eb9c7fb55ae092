// The load regulariser (Shazeer et al. 2017): the squared coefficient of variation of the load that each expert
// is expected to get under the gate's normal noise (ops/moe/load.hpp). Of training batches; 0 in evaluation.
#include "moe/regulariser.hpp"
#include "moe/regularisers/variation.hpp"

namespace switchyard::moe {
namespace {

class Load final : public Regulariser {
 public:
  explicit Load(const Options& options)
      : weight_(options.load), experts_(options.experts), gradient_(options.experts) {}

  void measure(RoutedSamples& samples) override {
    is_training_ = samples.pass.is_training();
    if (is_training_) expected_load_ = samples.routing.expected_load();
  }

  index_t width() const override { return experts_; }

  void add_shard(device::Context& context, IndexRange rows, Span<double> sums) const override {
    if (!is_training_) return;
    ops::ExpectedLoad shard = expected_load_;
    shard.clean = shard.clean.rows_from(rows);
    shard.noisy = shard.noisy.rows_from(rows);
    shard.experts += rows.begin * shard.slots;
    ops::add_expected_load(context, shard, sums);
  }

  double complete(const BatchSums& of) override {
    squared_variation_gradient(of.own, weight_, gradient_);
    return squared_variation(of.own, weight_);
  }

  void add_gradient(device::Workspace& workspace, RegulariserGradients& gradients) const override {
    moe::add_gradient(workspace, gradients.load, gradient_);
  }

 private:
  double weight_;
  index_t experts_;
  Vector<double> gradient_;  // [E]
  bool is_training_ = false;
  ops::ExpectedLoad expected_load_;
};

}  // namespace

Made make_regulariser(Of<&RegulariserWeights::load>, const Options& options) {
  return options.load > 0 ? std::make_unique<Load>(options) : nullptr;
}

}  // namespace switchyard::moe
