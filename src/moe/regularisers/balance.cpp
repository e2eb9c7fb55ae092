// The balance loss of the Switch transformer (Fedus et al. 2021, equation 4).
#include <memory>

#include "moe/regulariser.hpp"

namespace switchyard::moe {
namespace {

// With f_e the share of the chosen slots that expert e got and P_e the gate's mean probability of e over the
// global batch: weight * E * sum_e f_e P_e. 1 at balance (times weight), E at collapse. With one slot this is
// the loss of Chen et al. 2022, M^2 times the mean over m of f_m P_m.
//
// A shard's sums are load[E], which counts slots, and probability[E], over samples.
class Balance final : public Regulariser {
 public:
  explicit Balance(const Options& options) : weight_(options.balance), experts_(options.experts) {}

  void measure(RoutedSamples& samples) override {
    routing_ = &samples.routing;
    probabilities_ = samples.probabilities();
  }

  index_t width() const override { return 2 * experts_; }

  void add_shards(device::Context& context, const ops::TileSums& sums,
                  ops::RowFigures& /*figures*/) const override {
    ops::add_by_index(context, sums, routing_->experts, routing_->slots, experts_, {});
    ops::add_columns(context, sums.from(experts_), probabilities_);
  }

  // d loss / d p_e of one sample, the same for every sample: weight * E * f_e / samples.
  void complete(device::Context& context, const BatchSums& of) override {
    gradient_ = context.workspace().allocate<double>(experts_);
    ops::balance(context, of.own.first(experts_), of.own.last(experts_), of.samples, weight_,
                 {of.loss, gradient_, of.share});
  }

  void add_gradient(RegulariserGradients& gradients) const override { gradients.probability = gradient_; }

 private:
  double weight_;
  index_t experts_;
  // Memory of the step.
  const Routing* routing_ = nullptr;
  tensor::ConstMatrix probabilities_;
  Span<double> gradient_;  // [E]
};

}  // namespace

Made make_regulariser(Of<&RegulariserWeights::balance>, const Options& options) {
  return options.balance > 0 ? std::make_unique<Balance>(options) : nullptr;
}

}  // namespace switchyard::moe
