// The router z-loss (Zoph et al. 2022, ST-MoE): weight times the mean of (log sum_e e^z_e)^2.
#include <memory>

#include "moe/regulariser.hpp"

namespace switchyard::moe::regularisers {
namespace {

class ZLoss final : public Regulariser {
 public:
  explicit ZLoss(double weight) : weight_(weight) {}

  void measure(RoutedSamples& samples) override {
    squared_log_sums_ = samples.score_statistics().squared_log_sums;
  }

  index_t width() const override { return 1; }

  void add_shard(device::Context& /*context*/, IndexRange rows, Span<double> sums) const override {
    for (index_t n = rows.begin; n < rows.end; ++n) sums[0] += squared_log_sums_[n];
  }

  double complete(const BatchSums& of) override {
    return weight_ * of.own[0] / static_cast<double>(of.samples);
  }

  void add_gradient(device::Workspace& /*workspace*/, RegulariserGradients& gradients) const override {
    gradients.z_loss += weight_;
  }

 private:
  double weight_;
  Span<const double> squared_log_sums_;  // [N]
};

}  // namespace

std::unique_ptr<Regulariser> z_loss(const Options& options) {
  return options.z_loss > 0 ? std::make_unique<ZLoss>(options.z_loss) : nullptr;
}

}  // namespace switchyard::moe::regularisers
