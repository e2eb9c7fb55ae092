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

// A convolution and what follows it, as the text of the network says.
struct Convolution {
  std::int64_t in_channels, height, width, out_channels;
  std::int64_t padding;
  bool batch_norm, relu, max_pool;

  std::int64_t out_height() const { return height + 2 * padding - 2; }
  std::int64_t out_width() const { return width + 2 * padding - 2; }
};

// [out_channels][out_height][out_width] of every image. An empty bias is none.
std::vector<Values> convolve(const Convolution& conv, const std::vector<Values>& images, const Values& weight,
                             const Values& bias) {
  const auto pixel = [&](const Values& image, std::int64_t c, std::int64_t y, std::int64_t x) {
    const bool inside = y >= 0 && y < conv.height && x >= 0 && x < conv.width;
    return inside ? image[at((c * conv.height + y) * conv.width + x)] : 0.0;
  };
  std::vector<Values> results;
  for (const Values& image : images) {
    Values out;
    for (std::int64_t o = 0; o < conv.out_channels; ++o)
      for (std::int64_t y = 0; y < conv.out_height(); ++y)
        for (std::int64_t x = 0; x < conv.out_width(); ++x) {
          double sum = bias.empty() ? 0.0 : bias[at(o)];
          for (std::int64_t c = 0; c < conv.in_channels; ++c)
            for (std::int64_t dy = 0; dy < 3; ++dy)
              for (std::int64_t dx = 0; dx < 3; ++dx)
                sum += weight[at(((o * conv.in_channels + c) * 3 + dy) * 3 + dx)] *
                       pixel(image, c, y + dy - conv.padding, x + dx - conv.padding);
          out.push_back(sum);
        }
    results.push_back(std::move(out));
  }
  return results;
}

void batch_norm(std::vector<Values>& rows, std::int64_t channels, const Values& gamma, const Values& beta) {
  if (rows.empty()) return;  // an expert without samples
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

Values relu_pool(const Convolution& conv, Values in) {
  if (conv.relu)
    for (double& value : in) value = std::max(value, 0.0);
  if (!conv.max_pool) return in;
  const std::int64_t height = conv.out_height();
  const std::int64_t width = conv.out_width();
  Values out;
  for (std::int64_t c = 0; c < conv.out_channels; ++c)
    for (std::int64_t y = 0; y + 1 < height; y += 2)
      for (std::int64_t x = 0; x + 1 < width; x += 2) {
        double best = -std::numeric_limits<double>::infinity();
        for (std::int64_t dy = 0; dy < 2; ++dy)
          for (std::int64_t dx = 0; dx < 2; ++dx)
            best = std::max(best, in[at((c * height + y + dy) * width + x + dx)]);
        out.push_back(best);
      }
  return out;
}

std::vector<Convolution> convolutions(const nn::NetworkShape& shape) {
  std::vector<Convolution> all;
  if (shape.conv) {
    const ops::FusedConvShape& s = *shape.conv;
    all.push_back({s.in_channels, s.height, s.width, s.out_channels, s.padding, shape.batch_norm, true, true});
  }
  for (const nn::PaddedConvShape& s : shape.padded_convs) {
    all.push_back({s.in_channels, s.height, s.width, s.out_channels, 1, s.batch_norm, s.relu, s.max_pool});
  }
  return all;
}

std::vector<Values> run(const nn::NetworkShape& shape, const std::string& name, const Parameters& p,
                        std::vector<Values> rows) {
  int conv_number = 0;
  int norm_number = 0;
  for (const Convolution& conv : convolutions(shape)) {
    const std::string prefix = name + "/conv_" + std::to_string(++conv_number);
    const bool has_bias = conv.padding == 0 || !conv.batch_norm;
    rows = convolve(conv, rows, p.at(prefix + "/weight"), has_bias ? p.at(prefix + "/bias") : Values{});
    if (conv.batch_norm) {
      const std::string norm = name + "/batch_norm_" + std::to_string(++norm_number);
      batch_norm(rows, conv.out_channels, p.at(norm + "/gamma"), p.at(norm + "/beta"));
    }
    for (Values& row : rows) row = relu_pool(conv, std::move(row));
  }
  if (shape.patch_filters) {
    const std::string prefix = name + "/patch_filters_1";
    const Values& weight = p.at(prefix + "/weight");
    const Values bias = shape.patch_filters->bias ? p.at(prefix + "/bias") : Values{};
    for (Values& row : rows) row = patch_filters(*shape.patch_filters, row, weight, bias);
  }
  int number = 0;
  for (const nn::DenseShape& layer : shape.dense) {
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

// [expert][sample][output], of the samples that chose the expert; a batch norm sees those alone.
std::vector<std::vector<Values>> expert_outputs(const MixtureCase& test, const Parameters& parameters,
                                                const std::vector<Choice>& choices) {
  std::vector<std::vector<Values>> outputs;
  for (std::int64_t e = 0; e < test.experts; ++e) {
    char name[32];
    std::snprintf(name, sizeof name, "experts/%04d", static_cast<int>(e));
    std::vector<std::size_t> samples;
    std::vector<Values> images;
    for (std::size_t n = 0; n < choices.size(); ++n) {
      const auto& chosen = choices[n].experts;
      if (std::find(chosen.begin(), chosen.end(), e) == chosen.end()) continue;
      samples.push_back(n);
      images.push_back(test.images[n]);
    }
    const std::vector<Values> results = run(test.expert, name, parameters, images);
    auto& of_expert = outputs.emplace_back(choices.size());
    for (std::size_t i = 0; i < samples.size(); ++i) of_expert[samples[i]] = results[i];
  }
  return outputs;
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
  Values sum(outputs[at(choice.experts[0])][n].size(), 0.0);
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

double importance_loss(const MixtureCase& test, const std::vector<Choice>& choices) {
  if (test.importance == 0) return 0;
  Values importance(at(test.experts), 0.0);
  for (const Choice& choice : choices) {
    for (std::size_t i = 0; i < choice.experts.size(); ++i) {
      importance[at(choice.experts[i])] += choice.weights[i];
    }
  }
  const double experts = static_cast<double>(test.experts);
  const double mean = std::accumulate(importance.begin(), importance.end(), 0.0) / experts;
  double variance = 0;
  for (const double value : importance) variance += (value - mean) * (value - mean) / (experts - 1.0);
  return test.importance * variance / (mean * mean);
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

double mixture_loss(const MixtureCase& test, const Parameters& parameters) {
  const std::vector<Choice> choices = choose_all(test, parameters);
  const std::vector<std::vector<Values>> outputs = expert_outputs(test, parameters, choices);
  double loss = 0;
  for (std::size_t n = 0; n < choices.size(); ++n) loss += sample_loss(test, choices[n], outputs, n);
  return loss / static_cast<double>(choices.size()) + importance_loss(test, choices) +
         balance_loss(test, choices) + own_losses(test, choices);
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
  for (auto& [name, values] : parameters) {
    for (double& value : values) {
      const double kept = value;
      value = kept + step;
      const double above = mixture_loss(test, parameters);
      value = kept - step;
      const double below = mixture_loss(test, parameters);
      value = kept;
      gradient[name].push_back((above - below) / (2.0 * step));
    }
  }
  return gradient;
}

}  // namespace switchyard::reference
