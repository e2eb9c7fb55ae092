#include "support/reference_mixture.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <stdexcept>

#include "base/ids.hpp"
#include "support/reference_losses.hpp"
#include "support/reference_patches.hpp"
#include "support/reference_regularisers.hpp"

namespace switchyard::reference {
namespace {

// A convolution and what follows it, as the text of the network says.
struct Convolution {
  std::int64_t in_channels, height, width, out_channels;
  std::int64_t padding;
  bool batch_norm, relu, max_pool;
  std::int64_t kernel = 3, stride = 1;
  bool depthwise = false;
  double most = std::numeric_limits<double>::infinity();  // that relu lets through

  std::int64_t out(std::int64_t size) const { return (size + 2 * padding - kernel) / stride + 1; }
  std::int64_t out_height() const { return out(height); }
  std::int64_t out_width() const { return out(width); }
};

// [out_channels][out_height][out_width] of every image. An empty bias is none.
std::vector<Values> convolve(const Convolution& conv, const std::vector<Values>& images, const Values& weight,
                             const Values& bias) {
  const auto pixel = [&](const Values& image, std::int64_t c, std::int64_t y, std::int64_t x) {
    const bool inside = y >= 0 && y < conv.height && x >= 0 && x < conv.width;
    return inside ? image[as_size((c * conv.height + y) * conv.width + x)] : 0.0;
  };
  std::vector<Values> results;
  for (const Values& image : images) {
    Values out;
    for (std::int64_t o = 0; o < conv.out_channels; ++o)
      for (std::int64_t y = 0; y < conv.out_height(); ++y)
        for (std::int64_t x = 0; x < conv.out_width(); ++x) {
          double sum = bias.empty() ? 0.0 : bias[as_size(o)];
          const std::int64_t seen = conv.depthwise ? 1 : conv.in_channels;
          for (std::int64_t c = 0; c < seen; ++c)
            for (std::int64_t dy = 0; dy < conv.kernel; ++dy)
              for (std::int64_t dx = 0; dx < conv.kernel; ++dx)
                sum += weight[as_size(((o * seen + c) * conv.kernel + dy) * conv.kernel + dx)] *
                       pixel(image, conv.depthwise ? o : c, y * conv.stride + dy - conv.padding,
                             x * conv.stride + dx - conv.padding);
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
      for (std::int64_t p = 0; p < places; ++p) mean += row[as_size(c * places + p)] / count;
    for (const Values& row : rows)
      for (std::int64_t p = 0; p < places; ++p)
        variance += std::pow(row[as_size(c * places + p)] - mean, 2) / count;
    for (Values& row : rows)
      for (std::int64_t p = 0; p < places; ++p) {
        double& z = row[as_size(c * places + p)];
        z = gamma[as_size(c)] * (z - mean) / std::sqrt(variance + 1e-5) + beta[as_size(c)];
      }
  }
}

Values relu_pool(const Convolution& conv, Values in) {
  if (conv.relu)
    for (double& value : in) value = std::clamp(value, 0.0, conv.most);
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
            best = std::max(best, in[as_size((c * height + y + dy) * width + x + dx)]);
        out.push_back(best);
      }
  return out;
}

// x W
Values product(const Values& x, const Values& weight, std::int64_t outputs) {
  Values y(as_size(outputs));
  for (std::size_t i = 0; i < x.size(); ++i)
    for (std::int64_t o = 0; o < outputs; ++o)
      y[as_size(o)] += x[i] * weight[i * as_size(outputs) + as_size(o)];
  return y;
}

// The squares of an image, one behind the other.
Values cut(const nn::PatchFiltersShape& s, const Values& image) {
  Values patches;
  for (std::int64_t top = 0; top < s.image.height; top += s.side)
    for (std::int64_t left = 0; left < s.image.width; left += s.side)
      for (std::int64_t c = 0; c < s.image.channels; ++c)
        for (std::int64_t y = top; y < top + s.side; ++y)
          for (std::int64_t x = left; x < left + s.side; ++x)
            patches.push_back(image[as_size((c * s.image.height + y) * s.image.width + x)]);
  return patches;
}

// A network on some rows, layer by layer.
struct Run {
  const std::string& name;
  const Parameters& parameters;
  std::vector<Values> rows;
  std::vector<Values> skip = {};            // added before the next activation; empty: none
  std::map<std::string, int> numbers = {};  // of the layers of a kind so far

  std::string path(const std::string& kind) {
    return name + '/' + kind + '_' + std::to_string(++numbers[kind]);
  }
  const Values& of(const std::string& path, const char* array) const {
    return parameters.at(path + '/' + array);
  }

  void layer(const Convolution& conv) {
    const std::string at = path("conv");
    const bool has_bias = !conv.batch_norm || (conv.padding == 0 && conv.kernel == 3);
    rows = convolve(conv, rows, of(at, "weight"), has_bias ? of(at, "bias") : Values{});
    if (conv.batch_norm) {
      const std::string norm = path("batch_norm");
      batch_norm(rows, conv.out_channels, of(norm, "gamma"), of(norm, "beta"));
    }
    for (std::size_t n = 0; n < skip.size(); ++n)
      for (std::size_t i = 0; i < rows[n].size(); ++i) rows[n][i] += skip[n][i];
    for (Values& row : rows) row = relu_pool(conv, std::move(row));
  }
  void operator()(const nn::ConvStageShape& s) {
    layer({s.in_channels, s.height, s.width, s.out_channels, s.padding, s.batch_norm, true, true});
  }
  void operator()(const nn::PaddedConvShape& s) {
    Convolution conv{s.in_channels, s.height, s.width, s.out_channels, s.kernel / 2, s.batch_norm};
    conv.relu = s.activation != ops::ImageActivation::none;
    if (s.activation == ops::ImageActivation::relu6) conv.most = 6;
    conv.max_pool = s.max_pool;
    conv.kernel = s.kernel;
    conv.stride = s.stride;
    conv.depthwise = s.depthwise;
    layer(conv);
  }
  void operator()(const nn::GlobalAveragePoolShape& s) {
    for (Values& row : rows) {
      Values means;
      for (std::int64_t c = 0; c < s.image.channels; ++c) {
        const auto first = row.begin() + c * s.image.places;
        means.push_back(std::accumulate(first, first + s.image.places, 0.0) /
                        static_cast<double>(s.image.places));
      }
      row = std::move(means);
    }
  }
  void operator()(const nn::PatchFiltersShape& s) {
    const std::string at = path("patch_filters");
    for (Values& row : rows) {
      if (s.side > 0) row = cut(s, row);
      row = patch_filters(s, row, of(at, "weight"), s.bias ? of(at, "bias") : Values{});
    }
  }
  void operator()(const nn::DenseShape& s) {
    if (s.name == "query" || s.name == "key") return;  // layers of attention are not run
    const std::string at = s.name.empty() ? path("dense") : name + '/' + std::string(s.name);
    const Values& weight = of(at, "weight");
    const Values bias = s.bias ? of(at, "bias") : Values(as_size(s.out));
    for (Values& row : rows) {
      Values out(as_size(s.out));
      for (std::int64_t o = 0; o < s.out; ++o) {
        double sum = bias[as_size(o)];
        for (std::int64_t i = 0; i < s.in; ++i) sum += row[as_size(i)] * weight[as_size(i * s.out + o)];
        out[as_size(o)] = s.relu ? std::max(sum, 0.0) : sum;
      }
      row = std::move(out);
    }
  }
  void operator()(const nn::CosineShape& s) {
    const std::string at = path("cosine");
    const Values& weight = of(at, "weight");
    const auto length = [](const double* v, std::int64_t n) {
      double square = 1e-6;
      for (std::int64_t i = 0; i < n; ++i) square += v[i] * v[i];
      return std::sqrt(square);
    };
    const double scale = std::exp(of(at, "log_scale")[0]) / s.temperature;
    for (Values& row : rows) {
      Values out(as_size(s.out));
      for (std::int64_t o = 0; o < s.out; ++o) {
        const double* const vector = weight.data() + o * s.in;
        for (std::int64_t i = 0; i < s.in; ++i) out[as_size(o)] += row[as_size(i)] * vector[i];
        out[as_size(o)] *= scale / (length(row.data(), s.in) * length(vector, s.in));
      }
      row = std::move(out);
    }
  }
  void operator()(const nn::TernaryShape& s) const {
    throw std::logic_error(std::string(s.name) + ": no model of samples has one");
  }
  void operator()(const nn::RowFunctionShape& s) {
    if (s.kind == nn::RowFunctionShape::Kind::log_softmax) return;  // the loss says what it is of
    for (Values& row : rows)
      for (double& value : row) value = std::max(value, 0.0);
  }
};

// The first `layers`. `hidden`, if given, gets what the network shows.
std::vector<Values> run(const nn::NetworkShape& shape, const std::string& name, const Parameters& parameters,
                        std::vector<Values> rows, std::vector<Values>* hidden = nullptr,
                        std::int64_t layers = std::numeric_limits<std::int64_t>::max()) {
  Run network{name, parameters, std::move(rows)};
  std::vector<std::vector<Values>> outputs;
  for (std::size_t i = 0; i < shape.layers.size() && static_cast<std::int64_t>(i) < layers; ++i) {
    const auto links = shape.links.find(i);
    const nn::LayerLinks of_layer = links == shape.links.end() ? nn::LayerLinks() : links->second;
    if (of_layer.input) network.rows = outputs[*of_layer.input];
    network.skip = of_layer.skip ? outputs[*of_layer.skip] : std::vector<Values>();
    std::visit(network, shape.layers[i]);
    outputs.push_back(network.rows);
    if (hidden != nullptr && shape.shown == i) *hidden = network.rows;
  }
  return network.rows;
}

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
