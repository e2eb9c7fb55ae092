#include "support/reference_mixture.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "support/reference_losses.hpp"
#include "support/reference_patches.hpp"

namespace switchyard::reference {
namespace {

std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }

// [out_channels][height - 2][width - 2] of every image.
std::vector<Values> convolve(const ops::FusedConvShape& shape, const std::vector<Values>& images,
                             const Values& weight, const Values& bias) {
  const std::int64_t height = shape.height - 2;
  const std::int64_t width = shape.width - 2;
  std::vector<Values> results;
  for (const Values& image : images) {
    Values out(at(shape.out_channels * height * width));
    for (std::int64_t o = 0; o < shape.out_channels; ++o)
      for (std::int64_t y = 0; y < height; ++y)
        for (std::int64_t x = 0; x < width; ++x) {
          double sum = bias[at(o)];
          for (std::int64_t c = 0; c < shape.in_channels; ++c)
            for (std::int64_t dy = 0; dy < 3; ++dy)
              for (std::int64_t dx = 0; dx < 3; ++dx)
                sum += weight[at(((o * shape.in_channels + c) * 3 + dy) * 3 + dx)] *
                       image[at((c * shape.height + y + dy) * shape.width + x + dx)];
          out[at((o * height + y) * width + x)] = sum;
        }
    results.push_back(std::move(out));
  }
  return results;
}

void batch_norm(std::vector<Values>& rows, std::int64_t channels, const Values& gamma, const Values& beta) {
  const std::int64_t places = static_cast<std::int64_t>(rows[0].size()) / channels;
  for (std::int64_t c = 0; c < channels; ++c) {
    double mean = 0;
    double variance = 0;
    const double count = static_cast<double>(rows.size()) * static_cast<double>(places);
    for (const Values& row : rows)
      for (std::int64_t p = 0; p < places; ++p) mean += row[at(c * places + p)] / count;
    for (const Values& row : rows)
      for (std::int64_t p = 0; p < places; ++p) variance += std::pow(row[at(c * places + p)] - mean, 2) / count;
    for (Values& row : rows)
      for (std::int64_t p = 0; p < places; ++p) {
        double& z = row[at(c * places + p)];
        z = gamma[at(c)] * (z - mean) / std::sqrt(variance + 1e-5) + beta[at(c)];
      }
  }
}

Values relu_pool(const ops::FusedConvShape& shape, const Values& in) {
  const std::int64_t height = shape.height - 2;
  const std::int64_t width = shape.width - 2;
  Values out;
  for (std::int64_t c = 0; c < shape.out_channels; ++c)
    for (std::int64_t y = 0; y + 1 < height; y += 2)
      for (std::int64_t x = 0; x + 1 < width; x += 2) {
        double best = 0;
        for (std::int64_t dy = 0; dy < 2; ++dy)
          for (std::int64_t dx = 0; dx < 2; ++dx)
            best = std::max(best, in[at((c * height + y + dy) * width + x + dx)]);
        out.push_back(best);
      }
  return out;
}

std::vector<Values> run(const nn::NetworkShape& shape, const std::string& name, const Parameters& p,
                        std::vector<Values> rows,
                        std::int64_t layers = std::numeric_limits<std::int64_t>::max()) {
  if (shape.conv && layers-- > 0) {
    rows = convolve(*shape.conv, rows, p.at(name + "/conv_1/weight"), p.at(name + "/conv_1/bias"));
    if (shape.batch_norm)
      batch_norm(rows, shape.conv->out_channels, p.at(name + "/batch_norm_1/gamma"),
                 p.at(name + "/batch_norm_1/beta"));
    for (Values& row : rows) row = relu_pool(*shape.conv, row);
  }
  if (shape.patch_filters && layers-- > 0) {
    const std::string prefix = name + "/patch_filters_1";
    const Values& weight = p.at(prefix + "/weight");
    const Values bias = shape.patch_filters->bias ? p.at(prefix + "/bias") : Values{};
    for (Values& row : rows) row = patch_filters(*shape.patch_filters, row, weight, bias);
  }
  int number = 0;
  for (const nn::DenseShape& layer : shape.dense) {
    if (layers-- <= 0) break;
    const std::string prefix = name + "/dense_" + std::to_string(++number);
    const Values& weight = p.at(prefix + "/weight");
    const Values& bias = p.at(prefix + "/bias");
    for (Values& row : rows) {
      Values out(at(layer.out));
      for (std::int64_t o = 0; o < layer.out; ++o) {
        double sum = bias[at(o)];
        for (std::int64_t i = 0; i < layer.in; ++i) sum += row[at(i)] * weight[at(i * layer.out + o)];
        out[at(o)] = layer.relu ? std::max(sum, 0.0) : sum;
      }
      row = std::move(out);
    }
  }
  return rows;
}

// What the gate does with one sample.
struct Choice {
  std::vector<std::int64_t> experts;  // in falling order of their scores
  Values weights;                     // of the chosen
  Values factors;                     // what multiplies the chosen experts' outputs
  Values probabilities;               // of all
  Values chances;                     // of all: to be chosen under noise that is drawn anew for one of them
  double log_sum = 0;                 // log sum_e e^score
  double margin = std::numeric_limits<double>::infinity();
};

Choice choose(const MixtureCase& test, const Values& logits, const Values& noise) {
  Values noisy = logits;
  for (std::size_t e = 0; e < noise.size(); ++e) noisy[e] += noise[e];
  std::vector<std::int64_t> order(logits.size());
  std::iota(order.begin(), order.end(), 0);
  Choice choice;
  if (test.top_k > 0) {
    std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) { return noisy[at(a)] > noisy[at(b)]; });
    if (test.top_k < test.experts) {
      choice.margin = noisy[at(order[at(test.top_k - 1)])] - noisy[at(order[at(test.top_k)])];
    }
    order.resize(at(test.top_k));
  }
  choice.experts = order;
  if (test.load > 0) {
    for (std::size_t e = 0; e < logits.size(); ++e) {
      Values others = noisy;
      others.erase(others.begin() + static_cast<std::ptrdiff_t>(e));
      std::sort(others.rbegin(), others.rend());
      const double distance = (logits[e] - others[at(test.top_k - 1)]) / test.noise_scale;
      choice.chances.push_back(0.5 * std::erfc(-distance / std::sqrt(2.0)));
    }
  }
  const Values& scores = test.gate_value == config::GateValue::noisy_softmax ? noisy : logits;
  choice.probabilities = softmax_of(scores);
  for (const double z : scores) choice.log_sum += std::exp(z);
  choice.log_sum = std::log(choice.log_sum);
  if (test.top_k == 1) {
    choice.weights = {choice.probabilities[at(order[0])]};
  } else {
    Values of_chosen;
    for (const std::int64_t e : order) of_chosen.push_back(scores[at(e)]);
    choice.weights = softmax_of(of_chosen);
  }
  choice.factors = choice.weights;
  if (test.gate_value == config::GateValue::noisy_logit) {
    for (std::size_t i = 0; i < order.size(); ++i) choice.factors[i] = noisy[at(order[i])];
  }
  return choice;
}

std::vector<Choice> choose_all(const MixtureCase& test, const Parameters& parameters) {
  const std::vector<Values> logits = run(test.gate, "gate", parameters, test.images);
  std::vector<Choice> choices;
  for (std::size_t n = 0; n < logits.size(); ++n) {
    choices.push_back(choose(test, logits[n], test.noise.empty() ? Values{} : test.noise[n]));
  }
  return choices;
}

double sample_loss(const MixtureCase& test, const Choice& choice,
                   const std::vector<std::vector<Values>>& outputs, std::size_t n) {
  const std::int64_t label = test.labels[n];
  if (test.loss == config::Loss::likelihood || test.loss == config::Loss::stochastic) {
    const double power = test.loss == config::Loss::stochastic ? 0.5 : 1.0;
    double likelihood = 0;
    for (std::size_t i = 0; i < choice.experts.size(); ++i) {
      likelihood +=
          choice.weights[i] * std::pow(softmax_of(outputs[at(choice.experts[i])][n])[at(label)], power);
    }
    return -std::log(likelihood);
  }
  Values sum(outputs[0][n].size(), 0.0);
  for (std::size_t i = 0; i < choice.experts.size(); ++i) {
    const Values& f = outputs[at(choice.experts[i])][n];
    for (std::size_t c = 0; c < sum.size(); ++c) sum[c] += choice.factors[i] * f[c];
  }
  switch (test.loss) {
    case config::Loss::likelihood:
    case config::Loss::stochastic:
      break;
    case config::Loss::cross_entropy:
      return cross_entropy(sum, label);
    case config::Loss::logistic:
      return logistic(sum[0], label);
    case config::Loss::double_softmax:
      return double_softmax(sum, label);
  }
  return std::numeric_limits<double>::quiet_NaN();
}

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
  Values importance(at(test.experts), 0.0);
  for (const Choice& choice : choices) {
    for (std::size_t i = 0; i < choice.experts.size(); ++i) {
      importance[at(choice.experts[i])] += choice.weights[i];
    }
  }
  return test.importance * variation(importance);
}

double load_loss(const MixtureCase& test, const std::vector<Choice>& choices) {
  if (test.load == 0) return 0;
  Values load(at(test.experts), 0.0);
  for (const Choice& choice : choices) {
    for (std::size_t e = 0; e < load.size(); ++e) load[e] += choice.chances[e];
  }
  return test.load * variation(load);
}

// Both forms from their definitions, pair by pair.
double similarity_loss(const MixtureCase& test, const std::vector<Choice>& choices,
                       const std::vector<Values>& distances) {
  double all = 0, pairs = 0, scaled = 0, same = 0, different = 0;
  for (std::size_t a = 0; a < choices.size(); ++a) {
    for (std::size_t b = 0; b < choices.size(); ++b) {
      if (a != b) all += distances[a][b], pairs += 1;
    }
  }
  for (std::size_t a = 0; a < choices.size(); ++a) {
    for (std::size_t b = 0; b < choices.size(); ++b) {
      if (a == b) continue;
      for (std::size_t e = 0; e < at(test.experts); ++e) {
        for (std::size_t f = 0; f < at(test.experts); ++f) {
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
  Values slots(at(test.experts), 0.0);
  Values probability(at(test.experts), 0.0);
  double all_slots = 0;
  for (const Choice& choice : choices) {
    for (const std::int64_t e : choice.experts) slots[at(e)] += 1, all_slots += 1;
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

std::vector<Values> pairwise_distances(const MixtureCase& test, const Parameters& parameters) {
  const std::vector<Values> rows = run(test.gate, "gate", parameters, test.images, test.similarity_layer);
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

double mixture_loss(const MixtureCase& test, const Parameters& parameters,
                    const std::vector<Values>& distances) {
  std::vector<std::vector<Values>> outputs;  // [expert][sample][output]
  for (std::int64_t e = 0; e < test.experts; ++e) {
    char name[32];
    std::snprintf(name, sizeof name, "experts/%04d", static_cast<int>(e));
    outputs.push_back(run(test.expert, name, parameters, test.images));
  }
  const std::vector<Choice> choices = choose_all(test, parameters);
  double loss = 0;
  for (std::size_t n = 0; n < choices.size(); ++n) loss += sample_loss(test, choices[n], outputs, n);
  return loss / static_cast<double>(choices.size()) + importance_loss(test, choices) +
         balance_loss(test, choices) + own_losses(test, choices) + load_loss(test, choices) +
         similarity_loss(test, choices, distances.empty() ? pairwise_distances(test, parameters) : distances);
}

std::vector<std::int64_t> mixture_loads(const MixtureCase& test, const Parameters& parameters) {
  std::vector<std::int64_t> loads(at(test.experts), 0);
  for (const Choice& choice : choose_all(test, parameters)) {
    for (const std::int64_t e : choice.experts) ++loads[at(e)];
  }
  return loads;
}

double routing_margin(const MixtureCase& test, const Parameters& parameters) {
  double margin = std::numeric_limits<double>::infinity();
  for (const Choice& choice : choose_all(test, parameters)) margin = std::min(margin, choice.margin);
  return margin;
}

Parameters mixture_gradient(const MixtureCase& test, Parameters parameters, double step) {
  Parameters gradient;
  const std::vector<Values> distances = pairwise_distances(test, parameters);
  for (auto& [name, values] : parameters) {
    for (double& value : values) {
      const double kept = value;
      value = kept + step;
      const double above = mixture_loss(test, parameters, distances);
      value = kept - step;
      const double below = mixture_loss(test, parameters, distances);
      value = kept;
      gradient[name].push_back((above - below) / (2.0 * step));
    }
  }
  return gradient;
}

}  // namespace switchyard::reference
