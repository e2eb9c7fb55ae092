// Decided gates: weight times the mean entropy of the softmax over all experts, in nats.
#include <memory>

#include "moe/regulariser.hpp"

namespace switchyard::moe::regularisers {
namespace {

class Entropy final : public Regulariser {
 public:
  explicit Entropy(double weight) : weight_(weight) {}

  void measure(RoutedSamples& samples) override { entropies_ = samples.score_statistics().entropies; }

  index_t width() const override { return 1; }

  void add_shard(device::Context& /*context*/, IndexRange rows, Span<double> sums) const override {
    for (index_t n = rows.begin; n < rows.end; ++n) sums[0] += entropies_[n];
  }

  double complete(const BatchSums& of) override {
    return weight_ * of.own[0] / static_cast<double>(of.samples);
  }

  void add_gradient(device::Workspace& /*workspace*/, RegulariserGradients& gradients) const override {
    gradients.entropy += weight_;
  }

 private:
  double weight_;
  Span<const double> entropies_;  // [N]
};

}  // namespace

std::unique_ptr<Regulariser> entropy(const Options& options) {
  return options.gate_entropy > 0 ? std::make_unique<Entropy>(options.gate_entropy) : nullptr;
}

}  // namespace switchyard::moe::regularisers
