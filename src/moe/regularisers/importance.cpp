// The importance regulariser (Shazeer et al. 2017): the squared coefficient of variation of the experts' summed
// gate weights.
#include "moe/regulariser.hpp"

namespace switchyard::moe {
namespace {

class Importance final : public Regulariser {
 public:
  explicit Importance(const Options& options) : weight_(options.importance) {}

  void complete(device::Context& context, const BatchSums& of) override {
    gradient_ = context.workspace().allocate<double>(std::ssize(of.importance));
    ops::squared_variation(context, of.importance, weight_, {of.loss, gradient_, of.share});
  }

  void add_gradient(RegulariserGradients& gradients) const override { gradients.importance = gradient_; }

 private:
  double weight_;
  Span<double> gradient_;  // [E], memory of the step
};

}  // namespace

Made make_regulariser(Of<&RegulariserWeights::importance>, const Options& options) {
  return options.importance > 0 ? std::make_unique<Importance>(options) : nullptr;
}

}  // namespace switchyard::moe
