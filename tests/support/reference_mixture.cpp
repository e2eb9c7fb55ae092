#include "support/reference_mixture.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "base/ids.hpp"
#include "support/reference_losses.hpp"
#include "support/reference_regularisers.hpp"

namespace switchyard::reference {
namespace {

// What every expert makes of every sample: [expert][sample].
struct Returned {
  std::vector<std::vector<Values>> outputs;
  std::vector<std::vector<Values>> hidden;  // pre-ReLU, of the dense layer before the last
};

Choice choose(const MixtureCase& test, const Values& logits, const Values& noise) {
  Values noisy = logits;
  for (std::size_t e = 0; e < noise.size(); ++e) noisy[e] += noise[e];
  std::vector<std::int64_t> order(logits.size());
  std::iota(order.begin(), order.end(), 0);
  Choice choice;
  if (test.top_k > 0) {
    std::stable_sort(order.begin(), order.end(),
                     [&](auto a, auto b) { return noisy[as_size(a)] > noisy[as_size(b)]; });
    if (test.top_k < test.experts) {
      choice.margin =
          noisy[as_size(order[as_size(test.top_k - 1)])] - noisy[as_size(order[as_size(test.top_k)])];
    }
    order.resize(as_size(test.top_k));
  }
  choice.experts = order;
  if (test.load > 0) {
    for (std::size_t e = 0; e < logits.size(); ++e) {
      Values others = noisy;
      others.erase(others.begin() + static_cast<std::ptrdiff_t>(e));
      std::sort(others.rbegin(), others.rend());
      const double distance = (logits[e] - others[as_size(test.top_k - 1)]) / test.noise_scale;
      choice.chances.push_back(0.5 * std::erfc(-distance / std::sqrt(2.0)));
    }
  }
  Values scores = test.gate_value == moe::GateValue::noisy_softmax ? noisy : logits;
  const bool of_sigmoids = test.scores == moe::GateScores::sigmoid;
  if (of_sigmoids)
    for (double& z : scores) z = -std::log1p(std::exp(-z));
  choice.scores = scores;
  choice.probabilities = softmax_of(scores);
  for (const double z : scores) choice.log_sum += std::exp(z);
  choice.log_sum = std::log(choice.log_sum);
  double divisor = 0;  // of e^score
  const bool over_chosen = test.normalise == moe::Normalise::chosen ||
                           (test.normalise == moe::Normalise::automatic && test.top_k != 1);
  if (over_chosen) {
    for (const std::int64_t e : order) divisor += std::exp(scores[as_size(e)]);
  } else {
    for (const double z : scores) divisor += std::exp(z);
    if (of_sigmoids) divisor = 1;
  }
  for (const std::int64_t e : order) {
    choice.weights.push_back(std::exp(scores[as_size(e)]) / divisor);
    choice.factors.push_back(test.scale * choice.weights.back());
  }
  if (test.gate_value == moe::GateValue::noisy_logit) {
    for (std::size_t i = 0; i < order.size(); ++i) choice.factors[i] = noisy[as_size(order[i])];
  }
  return choice;
}

// By all samples, or by those that chose the expert; a batch norm sees those alone.
Returned run_experts(const MixtureCase& test, const Parameters& parameters,
                     const std::vector<Choice>* choices) {
  Returned returned;
  for (std::int64_t e = 0; e < test.experts; ++e) {
    char name[32];
    std::snprintf(name, sizeof name, "experts/%04d", static_cast<int>(e));
    std::vector<std::size_t> samples;
    std::vector<Values> images;
    for (std::size_t n = 0; n < test.images.size(); ++n) {
      if (choices != nullptr) {
        const auto& chosen = (*choices)[n].experts;
        if (std::find(chosen.begin(), chosen.end(), e) == chosen.end()) continue;
      }
      samples.push_back(n);
      images.push_back(test.images[n]);
    }
    std::vector<Values> hidden;
    const std::vector<Values> outputs = run(test.expert, name, parameters, images, &hidden);
    auto& of_expert = returned.outputs.emplace_back(test.images.size());
    auto& hidden_of_expert = returned.hidden.emplace_back(test.images.size());
    for (std::size_t i = 0; i < samples.size(); ++i) {
      of_expert[samples[i]] = outputs[i];
      if (!hidden.empty()) hidden_of_expert[samples[i]] = hidden[i];
    }
  }
  return returned;
}

// a_i = (W_q g) . (W_k h_i) / sqrt(d). The model holds W_q as [in, d] and W_k as [d, hidden].
Values attend(const Parameters& parameters, const Values& g, const Returned& returned, std::size_t n) {
  const auto d = static_cast<std::int64_t>(returned.hidden[0][n].size());
  const Values q = product(g, parameters.at("gate/query/weight"), d);
  const Values& w_k = parameters.at("gate/key/weight");
  Values scores;
  for (const std::vector<Values>& hidden : returned.hidden) {
    double score = 0;
    for (std::int64_t r = 0; r < d; ++r) {
      double key = 0;
      for (std::int64_t c = 0; c < d; ++c) key += w_k[as_size(r * d + c)] * hidden[n][as_size(c)];
      score += q[as_size(r)] * key;
    }
    scores.push_back(score / std::sqrt(static_cast<double>(d)));
  }
  return scores;
}

// Expert e alone, with the given scores of all.
Choice only(std::int64_t e, const Values& scores, double margin) {
  return {.experts = {e},
          .weights = {1.0},
          .factors = {1.0},
          .scores = scores,
          .probabilities = softmax_of(scores),
          .chances = {},
          .margin = margin};
}

// The expert with the largest score.
Choice only_best(const Values& scores) {
  const auto best = std::max_element(scores.begin(), scores.end()) - scores.begin();
  double margin = std::numeric_limits<double>::infinity();
  for (std::size_t e = 0; e < scores.size(); ++e)
    if (static_cast<std::ptrdiff_t>(e) != best) margin = std::min(margin, scores[as_size(best)] - scores[e]);
  return only(best, scores, margin);
}

std::vector<Choice> choose_all(const MixtureCase& test, const Parameters& parameters,
                               const Returned& returned) {
  std::vector<Values> g(test.images.size());
  if (!test.gate.empty()) g = run(test.gate, "gate", parameters, test.images);
  std::vector<Choice> choices;
  for (std::size_t n = 0; n < g.size(); ++n) {
    switch (test.kind) {
      case GateKind::network:
        choices.push_back(choose(test, g[n], test.noise.empty() ? Values{} : test.noise[n]));
        break;
      case GateKind::attention:
        choices.push_back(choose(test, attend(parameters, g[n], returned, n), {}));
        break;
      case GateKind::most_certain: {
        Values certainty;
        for (const std::vector<Values>& outputs : returned.outputs) {
          certainty.push_back(0);
          for (const double y : softmax_of(outputs[n])) certainty.back() += y * std::log2(y);
        }
        choices.push_back(only_best(certainty));
        break;
      }
      case GateKind::by_label:
        choices.push_back(only(test.expert_of_label[as_size(test.labels[n])], Values(as_size(test.experts)),
                               std::numeric_limits<double>::infinity()));
        break;
      case GateKind::none:
        choices.push_back(only(0, {0.0}, std::numeric_limits<double>::infinity()));
        break;
    }
    if (test.loss == model::Loss::predicted_loss) choices.back() = only_best(choices.back().scores);
  }
  return choices;
}

struct Evaluated {
  std::vector<Choice> choices;
  Returned returned;
};

Evaluated evaluate(const MixtureCase& test, const Parameters& parameters) {
  Evaluated evaluated;
  const bool chooses_by_experts = test.kind == GateKind::attention || test.kind == GateKind::most_certain;
  if (chooses_by_experts || test.loss == model::Loss::predicted_loss) {
    evaluated.returned = run_experts(test, parameters, nullptr);
    evaluated.choices = choose_all(test, parameters, evaluated.returned);
  } else {
    evaluated.choices = choose_all(test, parameters, {});
    evaluated.returned = run_experts(test, parameters, &evaluated.choices);
  }
  return evaluated;
}

// Of the weights that the experts see.
Values tempered(const Choice& choice, double temperature) {
  Values weights;
  double sum = 0;
  for (const double w : choice.weights) {
    weights.push_back(std::pow(w, 1.0 / temperature));
    sum += weights.back();
  }
  for (double& w : weights) w /= sum;
  return weights;
}

enum class View { whole, of_experts };

double sample_loss(const MixtureCase& test, const Choice& choice,
                   const std::vector<std::vector<Values>>& outputs, std::size_t n, View view) {
  const std::int64_t label = test.labels[n];
  if (test.loss == model::Loss::predicted_loss) {
    double loss = -std::log(softmax_of(outputs[as_size(choice.experts[0])][n])[as_size(label)]);
    for (std::size_t e = 0; e < outputs.size() && view == View::whole; ++e)
      loss += std::abs(choice.scores[e] - std::log(softmax_of(outputs[e][n])[as_size(label)]));
    return loss;
  }
  if (test.loss == model::Loss::likelihood || test.loss == model::Loss::stochastic) {
    const double power = test.loss == model::Loss::stochastic ? 0.5 : 1.0;
    double likelihood = 0;
    const Values weights =
        view == View::of_experts ? tempered(choice, test.expert_temperature) : choice.weights;
    for (std::size_t i = 0; i < choice.experts.size(); ++i) {
      likelihood +=
          weights[i] * std::pow(softmax_of(outputs[as_size(choice.experts[i])][n])[as_size(label)], power);
    }
    return -std::log(likelihood);
  }
  Values sum(outputs[as_size(choice.experts[0])][n].size(), 0.0);
  for (std::size_t i = 0; i < choice.experts.size(); ++i) {
    const Values& f = outputs[as_size(choice.experts[i])][n];
    for (std::size_t c = 0; c < sum.size(); ++c) sum[c] += choice.factors[i] * f[c];
  }
  switch (test.loss) {
    case model::Loss::likelihood:
    case model::Loss::stochastic:
    case model::Loss::predicted_loss:
    case model::Loss::squared_error:  // of real numbers: tests/cli/regression_test.py
    case model::Loss::gaussian:
      break;
    case model::Loss::cross_entropy:
      return cross_entropy(sum, label);
    case model::Loss::logistic:
      return logistic(sum[0], label);
    case model::Loss::double_softmax:
      return double_softmax(sum, label);
  }
  return std::numeric_limits<double>::quiet_NaN();
}

}  // namespace

std::vector<Values> pairwise_distances(const MixtureCase& test, const Parameters& parameters) {
  const std::vector<Values> rows =
      run(test.gate, "gate", parameters, test.images, nullptr, test.similarity_layer);
  std::vector<Values> distances;
  for (const Values& a : rows) {
    Values& of_a = distances.emplace_back();
    for (const Values& b : rows) {
      double square = 0;
      for (std::size_t i = 0; i < a.size(); ++i) square += (a[i] - b[i]) * (a[i] - b[i]);
      of_a.push_back(std::sqrt(square));
    }
  }
  return distances;
}

namespace {

double loss_of(const MixtureCase& test, const Parameters& parameters, View view,
               const std::vector<Values>& distances) {
  const Evaluated evaluated = evaluate(test, parameters);
  const Returned& returned = evaluated.returned;
  const std::vector<Choice>& choices = evaluated.choices;
  double loss = 0;
  for (std::size_t n = 0; n < choices.size(); ++n)
    loss += sample_loss(test, choices[n], returned.outputs, n, view);
  return loss / static_cast<double>(choices.size()) + regulariser_losses(test, choices, distances);
}

}  // namespace

double mixture_loss(const MixtureCase& test, const Parameters& parameters) {
  return loss_of(test, parameters, View::whole, pairwise_distances(test, parameters));
}

std::vector<std::int64_t> mixture_loads(const MixtureCase& test, const Parameters& parameters) {
  std::vector<std::int64_t> loads(as_size(test.experts), 0);
  for (const Choice& choice : evaluate(test, parameters).choices) {
    for (const std::int64_t e : choice.experts) ++loads[as_size(e)];
  }
  return loads;
}

double routing_margin(const MixtureCase& test, const Parameters& parameters) {
  double margin = std::numeric_limits<double>::infinity();
  for (const Choice& choice : evaluate(test, parameters).choices) margin = std::min(margin, choice.margin);
  return margin;
}

Parameters mixture_gradient(const MixtureCase& test, Parameters parameters, double step) {
  Parameters gradient;
  const std::vector<Values> distances = pairwise_distances(test, parameters);
  for (auto& [name, values] : parameters) {
    const View view = name.starts_with("experts/") ? View::of_experts : View::whole;
    for (double& value : values) {
      const double kept = value;
      value = kept + step;
      const double above = loss_of(test, parameters, view, distances);
      value = kept - step;
      const double below = loss_of(test, parameters, view, distances);
      value = kept;
      gradient[name].push_back((above - below) / (2.0 * step));
    }
  }
  return gradient;
}

}  // namespace switchyard::reference
