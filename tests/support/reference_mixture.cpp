#include "support/reference_mixture.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

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
                        std::vector<Values> rows) {
  if (shape.conv) {
    rows = convolve(*shape.conv, rows, p.at(name + "/conv_1/weight"), p.at(name + "/conv_1/bias"));
    if (shape.batch_norm)
      batch_norm(rows, shape.conv->out_channels, p.at(name + "/batch_norm_1/gamma"),
                 p.at(name + "/batch_norm_1/beta"));
    for (Values& row : rows) row = relu_pool(*shape.conv, row);
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

Values softmax(const Values& logits) {
  Values p;
  double total = 0;
  for (const double z : logits) p.push_back(std::exp(z)), total += p.back();
  for (double& value : p) value /= total;
  return p;
}

// Gate weights of all experts: zero where not chosen.
Values gate_weights(const Values& logits, std::int64_t top_k) {
  const auto experts = static_cast<std::int64_t>(logits.size());
  if (top_k == 0 || top_k == experts) return softmax(logits);
  std::vector<std::int64_t> order(logits.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) { return logits[at(a)] > logits[at(b)]; });
  Values chosen(logits.size(), 0.0);
  if (top_k == 1) {
    chosen[at(order[0])] = softmax(logits)[at(order[0])];
    return chosen;
  }
  double total = 0;
  for (std::int64_t i = 0; i < top_k; ++i) total += std::exp(logits[at(order[at(i)])]);
  for (std::int64_t i = 0; i < top_k; ++i)
    chosen[at(order[at(i)])] = std::exp(logits[at(order[at(i)])]) / total;
  return chosen;
}

}  // namespace

double mixture_loss(const MixtureCase& test, const Parameters& parameters) {
  const std::vector<Values> logits = run(test.gate, "gate", parameters, test.images);
  std::vector<std::vector<Values>> outputs;  // [expert][sample][class]
  for (std::int64_t e = 0; e < test.experts; ++e) {
    char name[32];
    std::snprintf(name, sizeof name, "experts/%04d", static_cast<int>(e));
    outputs.push_back(run(test.expert, name, parameters, test.images));
    for (Values& row : outputs.back()) row = softmax(row);
  }
  double loss = 0;
  Values importance(at(test.experts), 0.0);
  for (std::size_t n = 0; n < test.images.size(); ++n) {
    const Values weights = gate_weights(logits[n], test.top_k);
    double likelihood = 0;
    for (std::size_t e = 0; e < weights.size(); ++e) {
      likelihood += weights[e] * outputs[e][n][at(test.labels[n])];
      importance[e] += weights[e];
    }
    loss -= std::log(likelihood) / static_cast<double>(test.images.size());
  }
  const double experts = static_cast<double>(test.experts);
  const double mean = std::accumulate(importance.begin(), importance.end(), 0.0) / experts;
  double variance = 0;
  for (const double value : importance) variance += (value - mean) * (value - mean) / (experts - 1.0);
  return loss + test.importance * variance / (mean * mean);
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
