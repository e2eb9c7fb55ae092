#include "ops/moe/regularisers.hpp"

#include "base/contract.hpp"
#include "device/launch.hpp"
#include "ops/moe/kernels/regularisers.hpp"

namespace switchyard::ops {
namespace {

void expect_gradient(const RegulariserResult& result, index_t count) {
  SY_EXPECTS(std::ssize(result.gradient) == count, "a gradient of {} numbers by {}", result.gradient.size(),
             count);
}

}  // namespace

void squared_variation(device::Context& context, Span<const double> amount, double weight,
                       const RegulariserResult& result) {
  expect_gradient(result, std::ssize(amount));
  device::for_each(context, 1,
                   kernels::SquaredVariation{amount.data(), std::ssize(amount), weight, result.loss,
                                             result.gradient.data(), result.share});
}

void balance(device::Context& context, Span<const double> load, Span<const double> probability, index_t samples,
             double weight, const RegulariserResult& result) {
  SY_EXPECTS(load.size() == probability.size(), "loads of {} experts, probabilities of {}", load.size(),
             probability.size());
  expect_gradient(result, std::ssize(load));
  device::for_each(context, 1,
                   kernels::BalanceLoss{load.data(), probability.data(), std::ssize(load), samples, weight,
                                        result.loss, result.gradient.data(), result.share});
}

void mean_of_samples(device::Context& context, const double* sum, index_t samples, double weight,
                     const RegulariserResult& result) {
  device::for_each(context, 1, kernels::MeanOfSamples{sum, static_cast<double>(samples), weight, result.loss});
}

void similarity(device::Context& context, Span<const double> sums, const SimilarityBatch& of,
                const SimilarityWeights& weights, const RegulariserResult& result) {
  SY_EXPECTS(sums.size() == 2, "{} sums of distances", sums.size());
  expect_gradient(result, 1);
  device::for_each(
      context, 1,
      kernels::Similarity{sums.data(), of, weights, result.loss, result.gradient.data(), result.share});
}

}  // namespace switchyard::ops
