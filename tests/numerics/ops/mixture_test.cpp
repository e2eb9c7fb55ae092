#include "ops/moe/mixture.hpp"

#include <cmath>

#include "conformance/ops/mixture_case.hpp"
#include "numerics/ops/differences.hpp"

namespace switchyard::ops {
namespace {

// L = mean loss + sum_e g_e sum_n w_{n,e}: the second part is linear in the weights, as a regulariser's
// gradient sees them.
double objective(const reference::MixtureCase& c, const std::vector<double>& importance) {
  const reference::MixtureResult result = reference::mixture(c);
  double sum = 0;
  for (std::size_t n = 0; n < c.labels.size(); ++n) {
    sum += result.losses[n] / static_cast<double>(c.labels.size());
    for (std::size_t i = 0; i < c.experts[n].size(); ++i) {
      sum += importance[static_cast<std::size_t>(c.experts[n][i])] * result.weights(n, i);
    }
  }
  return sum;
}

void check_gradients(index_t experts, index_t slots, bool with_importance) {
  SCOPED_TRACE(std::to_string(slots) + " of " + std::to_string(experts) + " experts");
  const MixtureData data(4, experts, slots, 6, 5);
  std::vector<double> importance(static_cast<std::size_t>(experts), 0.0);
  for (std::size_t e = 0; with_importance && e < importance.size(); ++e)
    importance[e] = std::sin(static_cast<double>(e) + 1);
  device::Context context(1);
  const MixtureRun run(context, data, 1.0F / static_cast<float>(data.samples),
                       with_importance ? importance : std::vector<double>());

  reference::MixtureCase c = data.reference_case();
  const auto d_logits =
      testing::central_differences(c.gate_logits.values, [&] { return objective(c, importance); });
  for (std::size_t i = 0; i < d_logits.size(); ++i) {
    EXPECT_NEAR(static_cast<double>(run.d_logits[i]), d_logits[i], 2e-6) << "logit " << i;
  }
  std::size_t row = 0;
  for (reference::Array& log_probs : c.log_probs) {
    const auto d_log_probs =
        testing::central_differences(log_probs.values, [&] { return objective(c, importance); });
    for (std::size_t i = 0; i < d_log_probs.size(); ++i) {
      EXPECT_NEAR(static_cast<double>(run.d_log_probs[row + i]), d_log_probs[i], 2e-6)
          << "log-probability " << row + i;
    }
    row += d_log_probs.size();
  }
}

TEST(MixtureBackward, agrees_with_finite_differences_for_a_dense_gate) { check_gradients(5, 5, false); }
TEST(MixtureBackward, agrees_with_finite_differences_for_two_slots) { check_gradients(8, 2, false); }
TEST(MixtureBackward, agrees_with_finite_differences_for_one_slot) { check_gradients(8, 1, false); }
TEST(MixtureBackward, agrees_with_finite_differences_for_one_expert) { check_gradients(1, 1, true); }
TEST(MixtureBackward, carries_the_importance_of_a_dense_gate) { check_gradients(5, 5, true); }
TEST(MixtureBackward, carries_the_importance_of_two_slots) { check_gradients(8, 2, true); }
TEST(MixtureBackward, carries_the_importance_of_one_slot) { check_gradients(8, 1, true); }

}  // namespace
}  // namespace switchyard::ops
