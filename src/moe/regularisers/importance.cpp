// The importance regulariser (Shazeer et al. 2017): the squared coefficient of variation of the experts' summed
// gate weights.
#include "moe/regulariser.hpp"
#include "moe/regularisers/variation.hpp"

namespace switchyard::moe {
namespace {

class Importance final : public Regulariser {
 public:
  explicit Importance(const Options& options) : weight_(options.importance), gradient_(options.experts) {}

  double complete(const BatchSums& of) override {
    squared_variation_gradient(of.importance, weight_, gradient_);
    return squared_variation(of.importance, weight_);
  }

  void add_gradient(device::Workspace& workspace, RegulariserGradients& gradients) const override {
    moe::add_gradient(workspace, gradients.importance, gradient_);
  }

 private:
  double weight_;
  Vector<double> gradient_;  // [E]
};

}  // namespace

Made make_regulariser(Of<&RegulariserWeights::importance>, const Options& options) {
  return options.importance > 0 ? std::make_unique<Importance>(options) : nullptr;
}

}  // namespace switchyard::moe
