// The load regulariser (Shazeer et al. 2017): the squared coefficient of variation of the load that each expert
// is expected to get under the gate's normal noise (ops/moe/load.hpp). Of training batches; 0 in evaluation.
#include "moe/regulariser.hpp"
#include "tensor/tensor.hpp"

namespace switchyard::moe {
namespace {

class Load final : public Regulariser {
 public:
  explicit Load(const Options& options) : weight_(options.load), experts_(options.experts) {}

  void measure(RoutedSamples& samples) override {
    chances_ = {};
    if (!samples.pass.is_training()) return;
    chances_ = tensor::allocate_matrix(samples.pass.workspace(), samples.routing.samples, experts_);
    ops::expected_load(samples.pass.context, samples.routing.expected_load(), chances_);
  }

  index_t width() const override { return experts_; }

  void add_shards(device::Context& context, const ops::TileSums& sums,
                  ops::RowFigures& /*figures*/) const override {
    if (chances_.data != nullptr) ops::add_columns(context, sums, chances_);
  }

  void complete(device::Context& context, const BatchSums& of) override {
    gradient_ = context.workspace().allocate<double>(experts_);
    ops::squared_variation(context, of.own, weight_, {of.loss, gradient_, of.share});
  }

  void add_gradient(RegulariserGradients& gradients) const override { gradients.load = gradient_; }

 private:
  double weight_;
  index_t experts_;
  // Memory of the step.
  tensor::Matrix chances_;  // [N, E], of training batches
  Span<double> gradient_;   // [E]
};

}  // namespace

Made make_regulariser(Of<&RegulariserWeights::load>, const Options& options) {
  return options.load > 0 ? std::make_unique<Load>(options) : nullptr;
}

}  // namespace switchyard::moe
