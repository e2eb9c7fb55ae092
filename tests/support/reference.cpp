#include "support/reference.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace switchyard::testing::reference {

Array transposed(const Array& a) {
  Array t(a.cols, a.rows);
  for (std::size_t i = 0; i < a.rows; ++i)
    for (std::size_t j = 0; j < a.cols; ++j) t(j, i) = a(i, j);
  return t;
}

Array matmul(const Array& a, const Array& b) {
  Array c(a.rows, b.cols);
  for (std::size_t i = 0; i < a.rows; ++i)
    for (std::size_t k = 0; k < a.cols; ++k)
      for (std::size_t j = 0; j < b.cols; ++j) c(i, j) += a(i, k) * b(k, j);
  return c;
}

double matmul_magnitude(const Array& a, const Array& b) {
  Array positive_a = a, positive_b = b;
  for (double& v : positive_a.values) v = std::abs(v);
  for (double& v : positive_b.values) v = std::abs(v);
  const Array c = matmul(positive_a, positive_b);
  return c.values.empty() ? 0.0 : *std::max_element(c.values.begin(), c.values.end());
}

Array softmax(const Array& logits) {
  Array p = log_softmax(logits);
  for (double& v : p.values) v = std::exp(v);
  return p;
}

Array log_softmax(const Array& logits) {
  Array y(logits.rows, logits.cols);
  for (std::size_t r = 0; r < logits.rows; ++r) {
    double largest = -INFINITY;
    for (std::size_t c = 0; c < logits.cols; ++c) largest = std::max(largest, logits(r, c));
    double sum = 0;
    for (std::size_t c = 0; c < logits.cols; ++c) sum += std::exp(logits(r, c) - largest);
    for (std::size_t c = 0; c < logits.cols; ++c) y(r, c) = logits(r, c) - largest - std::log(sum);
  }
  return y;
}

std::vector<std::vector<int>> top_k(const Array& logits, std::size_t k) {
  std::vector<std::vector<int>> chosen;
  for (std::size_t r = 0; r < logits.rows; ++r) {
    std::vector<int> order(logits.cols);
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [&](int a, int b) {
      return logits(r, static_cast<std::size_t>(a)) > logits(r, static_cast<std::size_t>(b));
    });
    order.resize(k);
    chosen.push_back(order);
  }
  return chosen;
}

std::vector<double> column_sums(const Array& x) {
  std::vector<double> sums(x.cols, 0.0);
  for (std::size_t r = 0; r < x.rows; ++r)
    for (std::size_t c = 0; c < x.cols; ++c) sums[c] += x(r, c);
  return sums;
}

std::vector<double> attention_scores(const std::vector<double>& u, const std::vector<double>& h) {
  std::vector<double> scores;
  for (std::size_t first = 0; first < h.size(); first += u.size()) {
    double product = 0;
    for (std::size_t c = 0; c < u.size(); ++c) product += u[c] * h[first + c];
    scores.push_back(product / std::sqrt(static_cast<double>(u.size())));
  }
  return scores;
}

MixtureResult mixture(const MixtureCase& c) {
  const std::size_t samples = c.labels.size();
  const std::size_t slots = samples == 0 ? 0 : c.experts[0].size();
  const std::size_t classes = samples == 0 ? 0 : c.log_probs[0].cols;
  MixtureResult result{Array(samples, slots), Array(samples, classes), {}, Array(samples, slots), {}, {}};
  const Array full = softmax(c.gate_logits);
  for (std::size_t n = 0; n < samples; ++n) {
    double chosen = 0;  // probability of all slots together
    for (const int e : c.experts[n]) chosen += full(n, static_cast<std::size_t>(e));
    if (slots == 1) chosen = 1;
    double entropy = 0;  // of the slots' weights; of one slot, of the softmax over all
    for (std::size_t e = 0; slots == 1 && e < full.cols; ++e) {
      entropy -= full(n, e) > 0 ? full(n, e) * std::log2(full(n, e)) : 0.0;
    }
    for (std::size_t i = 0; i < slots; ++i) {
      const double w = full(n, static_cast<std::size_t>(c.experts[n][i])) / chosen;
      result.weights(n, i) = w;
      if (slots > 1) entropy -= w > 0 ? w * std::log2(w) : 0.0;
      for (std::size_t k = 0; k < classes; ++k)
        result.probabilities(n, k) += w * std::exp(c.log_probs[n](i, k));
    }
    const auto label = static_cast<std::size_t>(c.labels[n]);
    const double likelihood = result.probabilities(n, label);
    for (std::size_t i = 0; i < slots; ++i) {
      result.posteriors(n, i) = result.weights(n, i) * std::exp(c.log_probs[n](i, label)) / likelihood;
    }
    result.losses.push_back(-std::log(likelihood));
    const double* const row = result.probabilities.values.data() + n * classes;
    result.predicted.push_back(static_cast<int>(std::max_element(row, row + classes) - row));
    result.entropies.push_back(entropy);
  }
  return result;
}

namespace {

// Calls visit(y index, x index, weight index, out channel) for every product of the convolution.
template <class Visit>
void for_each_product(const ConvCase& c, const Visit& visit) {
  for (int n = 0; n < c.batch; ++n)
    for (int o = 0; o < c.out_channels; ++o)
      for (int p = 0; p < c.out_height(); ++p)
        for (int q = 0; q < c.out_width(); ++q)
          for (int i = 0; i < c.in_channels; ++i)
            for (int u = 0; u < c.kernel_height; ++u)
              for (int v = 0; v < c.kernel_width; ++v) {
                const int row = p * c.stride_height + u - c.padding_height;
                const int col = q * c.stride_width + v - c.padding_width;
                if (row < 0 || row >= c.height || col < 0 || col >= c.width) continue;
                visit(static_cast<std::size_t>(((n * c.out_channels + o) * c.out_height() + p) * c.out_width() +
                                               q),
                      static_cast<std::size_t>(((n * c.in_channels + i) * c.height + row) * c.width + col),
                      static_cast<std::size_t>(
                          ((o * c.in_channels + i) * c.kernel_height + u) * c.kernel_width + v));
              }
}

}  // namespace

std::vector<double> conv2d(const ConvCase& c, const std::vector<double>& x, const std::vector<double>& weight,
                           const std::vector<double>& bias) {
  const auto places = static_cast<std::size_t>(c.out_height() * c.out_width());
  std::vector<double> y(static_cast<std::size_t>(c.batch * c.out_channels) * places);
  for (std::size_t j = 0; j < y.size(); ++j) y[j] = bias[j / places % bias.size()];
  for_each_product(c, [&](std::size_t yi, std::size_t xi, std::size_t wi) { y[yi] += x[xi] * weight[wi]; });
  return y;
}

ConvGradients conv2d_gradients(const ConvCase& c, const std::vector<double>& x,
                               const std::vector<double>& weight, const std::vector<double>& d_y) {
  ConvGradients d{std::vector<double>(x.size(), 0.0), std::vector<double>(weight.size(), 0.0),
                  std::vector<double>(static_cast<std::size_t>(c.out_channels), 0.0)};
  for_each_product(c, [&](std::size_t yi, std::size_t xi, std::size_t wi) {
    d.x[xi] += d_y[yi] * weight[wi];
    d.weight[wi] += d_y[yi] * x[xi];
  });
  const auto places = static_cast<std::size_t>(c.out_height() * c.out_width());
  for (std::size_t j = 0; j < d_y.size(); ++j) d.bias[j / places % d.bias.size()] += d_y[j];
  return d;
}

AdamState adam(AdamState s, double gradient, double rate, double beta1, double beta2, double epsilon,
               double decay, double scale, int t) {
  const double g = scale * gradient + decay * s.w;
  s.m = beta1 * s.m + (1 - beta1) * g;
  s.v = beta2 * s.v + (1 - beta2) * g * g;
  const double corrected_m = s.m / (1 - std::pow(beta1, t));
  const double corrected_v = s.v / (1 - std::pow(beta2, t));
  s.w -= rate * corrected_m / (std::sqrt(corrected_v) + epsilon);
  return s;
}

AdamState adamw(AdamState s, double gradient, double rate, double beta1, double beta2, double epsilon,
                double decay, double scale, int t) {
  s.w -= rate * decay * s.w;
  return adam(s, gradient, rate, beta1, beta2, epsilon, 0, scale, t);
}

SgdState sgd(SgdState s, double gradient, double rate, double momentum, double decay, double scale) {
  const double g = scale * gradient + decay * s.w;
  s.u = momentum * s.u + g;
  s.w -= rate * s.u;
  return s;
}

}  // namespace switchyard::testing::reference
