// The kinds of heads: a row for each word of model.loss, and a file of the folder for each kind.
#pragma once

#include <array>
#include <memory>
#include <string_view>
#include <type_traits>

#include "base/ids.hpp"

namespace switchyard::model {

// Losses of a sample with slots i, weights w, experts' distributions y_i or outputs f_i, and label t. V1, V2
// and V7 are the reference's names (Krishnamurthy et al. 2023):
enum class Loss {
  likelihood,      // -log sum_i w_i y_{i,t} (V1; Jacobs et al. 1991)
  stochastic,      // -log sum_i w_i y_{i,t}^(1/2); the expert with the largest weight answers (V2)
  predicted_loss,  // -log y_{e,t} + sum_i |z_i - log y_{i,t}|, e the expert with the largest score z, which
                   // answers. The gate learns from the second term alone, the experts from the first (V7)
  // Of F = sum_i w_i f_i (ops/moe/weighted_sum.hpp; Chen et al. 2022).
  cross_entropy,
  logistic,
  double_softmax,
  squared_error,  // of real numbers d: the mean of (F - d)^2
  gaussian,       // -log sum_i w_i N(d; f_i, s^2 I) (ops/moe/gaussian.hpp; Jacobs et al. 1991)
};

struct HeadKind {
  Loss value;
  std::string_view name;          // its word
  std::string_view help;          // empty: a loss of the gate-weighted sum of the experts' outputs
  bool of_distributions = false;  // which experts give, and weights that are probabilities mix
  bool of_numbers = false;        // labels are real numbers; else classes
};

inline constexpr std::array head_kinds = {
    HeadKind{Loss::likelihood, "likelihood", "of the mixture of the experts' distributions", true},
    HeadKind{Loss::stochastic, "stochastic", "of competing experts, of which one answers", true},
    HeadKind{Loss::predicted_loss, "predicted_loss",
             "the gate predicts the experts' losses and the best one answers", true},
    HeadKind{Loss::cross_entropy, "cross_entropy", ""},
    HeadKind{Loss::logistic, "logistic", ""},
    HeadKind{Loss::double_softmax, "double_softmax", ""},
    HeadKind{Loss::squared_error, "squared_error", "of real numbers: (F - label)^2 of the weighted sum F",
             false, true},
    HeadKind{Loss::gaussian, "gaussian",
             "of real numbers: the likelihood of Gaussians about the experts' outputs", true, true},
};

constexpr const HeadKind& kind_of(Loss loss) { return head_kinds[as_size(loss)]; }
static_assert([] {
  for (const HeadKind& kind : head_kinds)
    if (&kind != &kind_of(kind.value)) return false;
  return true;
}());

// Experts then end in a softmax over the classes.
constexpr bool ends_in_softmax(const HeadKind& kind) { return kind.of_distributions && !kind.of_numbers; }

// Who makes them, in a file of its own. Throws ConfigError if the loss does not fit the task's labels.
class Head;
struct ModelOptions;
struct Task;
template <Loss loss>
using Of = std::integral_constant<Loss, loss>;
std::unique_ptr<Head> make_head(Of<Loss::likelihood>, const ModelOptions&, const Task&);
std::unique_ptr<Head> make_head(Of<Loss::stochastic>, const ModelOptions&, const Task&);
std::unique_ptr<Head> make_head(Of<Loss::predicted_loss>, const ModelOptions&, const Task&);
std::unique_ptr<Head> make_head(Of<Loss::cross_entropy>, const ModelOptions&, const Task&);
std::unique_ptr<Head> make_head(Of<Loss::logistic>, const ModelOptions&, const Task&);
std::unique_ptr<Head> make_head(Of<Loss::double_softmax>, const ModelOptions&, const Task&);
std::unique_ptr<Head> make_head(Of<Loss::squared_error>, const ModelOptions&, const Task&);
std::unique_ptr<Head> make_head(Of<Loss::gaussian>, const ModelOptions&, const Task&);

}  // namespace switchyard::model
