// The balance loss of the Switch transformer (Fedus et al. 2021, equation 4).
#include <algorithm>
#include <memory>
#include <numeric>

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
  explicit Balance(const Options& options)
      : weight_(options.balance), experts_(options.experts), gradient_(options.experts) {}

  void measure(RoutedSamples& samples) override { routing_ = &samples.routing; }

  index_t width() const override { return 2 * experts_; }

  void add_shard(device::Context& context, IndexRange rows, Span<double> sums) const override {
    const index_t slots = routing_->slots;
    for (const std::int32_t expert : routing_->experts.subspan(rows.begin * slots, rows.size() * slots))
      sums[expert] += 1.0;
    ops::add_probabilities(context, routing_->scores.rows_from(rows), sums.last(experts_));
  }

  // d loss / d p_e of one sample, the same for every sample: weight * E * f_e / samples.
  double complete(const BatchSums& of) override {
    const Span<const double> load = of.own.first(experts_);
    const Span<const double> probability = of.own.last(experts_);
    const auto experts = static_cast<double>(experts_);
    const double slots = std::accumulate(load.begin(), load.end(), 0.0);
    const double samples = std::accumulate(probability.begin(), probability.end(), 0.0);
    std::ranges::fill(gradient_, 0.0);
    if (slots == 0.0 || samples == 0.0) return 0.0;
    const double factor = weight_ * experts / (slots * static_cast<double>(of.samples));
    for (index_t e = 0; e < experts_; ++e) gradient_[e] = factor * load[e];
    const double sum = std::inner_product(load.begin(), load.end(), probability.begin(), 0.0);
    return weight_ * experts * (sum / (slots * samples));
  }

  void add_gradient(device::Workspace& workspace, RegulariserGradients& gradients) const override {
    moe::add_gradient(workspace, gradients.probability, gradient_);
  }

 private:
  double weight_;
  index_t experts_;
  Vector<double> gradient_;  // [E]
  const Routing* routing_ = nullptr;
};

}  // namespace

Made make_regulariser(Of<&RegulariserWeights::balance>, const Options& options) {
  return options.balance > 0 ? std::make_unique<Balance>(options) : nullptr;
}

}  // namespace switchyard::moe
