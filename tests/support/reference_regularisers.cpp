#include "support/reference_regularisers.hpp"

#include <cmath>
#include <numeric>

#include "base/ids.hpp"

namespace switchyard::reference {
namespace {

// The squared coefficient of variation.
double variation(const Values& values) {
  const double count = static_cast<double>(values.size());
  const double mean = std::accumulate(values.begin(), values.end(), 0.0) / count;
  double variance = 0;
  for (const double value : values) variance += (value - mean) * (value - mean) / (count - 1.0);
  return variance / (mean * mean);
}

double importance_loss(const MixtureCase& test, const std::vector<Choice>& choices) {
  if (test.importance == 0) return 0;
  Values importance(as_size(test.experts), 0.0);
  for (const Choice& choice : choices) {
    for (std::size_t i = 0; i < choice.experts.size(); ++i) {
      importance[as_size(choice.experts[i])] += choice.weights[i];
    }
  }
  return test.importance * variation(importance);
}

double load_loss(const MixtureCase& test, const std::vector<Choice>& choices) {
  if (test.load == 0) return 0;
  Values load(as_size(test.experts), 0.0);
  for (const Choice& choice : choices) {
    for (std::size_t e = 0; e < load.size(); ++e) load[e] += choice.chances[e];
  }
  return test.load * variation(load);
}

// Both forms from their definitions, pair by pair.
double similarity_loss(const MixtureCase& test, const std::vector<Choice>& choices,
                       const std::vector<Values>& distances) {
  if (test.similarity == 0 && test.similarity_same == 0 && test.similarity_different == 0) return 0;
  double all = 0, pairs = 0, scaled = 0, same = 0, different = 0;
  for (std::size_t a = 0; a < choices.size(); ++a) {
    for (std::size_t b = 0; b < choices.size(); ++b) {
      if (a != b) all += distances[a][b], pairs += 1;
    }
  }
  for (std::size_t a = 0; a < choices.size(); ++a) {
    for (std::size_t b = 0; b < choices.size(); ++b) {
      if (a == b) continue;
      for (std::size_t e = 0; e < as_size(test.experts); ++e) {
        for (std::size_t f = 0; f < as_size(test.experts); ++f) {
          const double both = distances[a][b] * choices[a].probabilities[e] * choices[b].probabilities[f];
          if (e == f) scaled += both / (all / pairs) / pairs;
          (e == f ? same : different) += both;
        }
      }
    }
  }
  const double experts = static_cast<double>(test.experts);
  const double samples = static_cast<double>(choices.size());
  return test.similarity * scaled + test.similarity_same * same / experts -
         test.similarity_different * different / (experts * experts - experts) / (samples * samples);
}

// E sum_e f_e P_e
double balance_loss(const MixtureCase& test, const std::vector<Choice>& choices) {
  Values slots(as_size(test.experts), 0.0);
  Values probability(as_size(test.experts), 0.0);
  double all_slots = 0;
  for (const Choice& choice : choices) {
    for (const std::int64_t e : choice.experts) slots[as_size(e)] += 1, all_slots += 1;
    for (std::size_t e = 0; e < probability.size(); ++e) probability[e] += choice.probabilities[e];
  }
  double sum = 0;
  for (std::size_t e = 0; e < slots.size(); ++e) {
    sum += slots[e] / all_slots * (probability[e] / static_cast<double>(choices.size()));
  }
  return test.balance * static_cast<double>(test.experts) * sum;
}

// c mean L^2 + w mean H
double own_losses(const MixtureCase& test, const std::vector<Choice>& choices) {
  double sum = 0;
  for (const Choice& choice : choices) {
    double entropy = 0;
    for (const double p : choice.probabilities) entropy -= p * std::log(p);
    sum += test.z_loss * choice.log_sum * choice.log_sum + test.gate_entropy * entropy;
  }
  return sum / static_cast<double>(choices.size());
}

}  // namespace

double regulariser_losses(const MixtureCase& test, const std::vector<Choice>& choices,
                          const std::vector<Values>& distances) {
  return importance_loss(test, choices) + balance_loss(test, choices) + own_losses(test, choices) +
         load_loss(test, choices) + similarity_loss(test, choices, distances);
}

}  // namespace switchyard::reference
