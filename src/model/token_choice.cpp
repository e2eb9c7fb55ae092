#include "model/token_choice.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/error.hpp"

namespace switchyard::model {
namespace {

// Without the least probable tokens that the others, with `top_p` of the sum together, can do without.
void keep_top(Span<const float> scores, double top_p, std::vector<double>& p) {
  std::vector<std::int32_t> order(p.size());
  std::iota(order.begin(), order.end(), 0);
  // By scores, which differ where probabilities have become equal.
  std::ranges::stable_sort(order, std::ranges::greater(), [&](std::int32_t token) { return scores[token]; });
  const double enough = top_p * std::accumulate(p.begin(), p.end(), 0.0);
  double sum = 0;
  for (const std::int32_t token : order) {
    if (sum >= enough && sum > 0) p[as_size(token)] = 0;
    sum += p[as_size(token)];
  }
}

}  // namespace

std::vector<double> probabilities(Span<const float> scores, const TokenChoice& choice) {
  std::vector<double> p(scores.size());
  const auto most = std::ranges::max_element(scores);
  if (choice.temperature == 0) {
    p[as_size(most - scores.begin())] = 1;
    return p;
  }
  const double largest = *most;
  for (std::size_t i = 0; i < p.size(); ++i) p[i] = std::exp((scores[i] - largest) / choice.temperature);
  if (choice.top_p < 1) keep_top(scores, choice.top_p, p);
  const double sum = std::accumulate(p.begin(), p.end(), 0.0);
  for (double& one : p) one /= sum;
  return p;
}

std::int32_t choose(Span<const float> scores, const TokenChoice& choice, double uniform) {
  for (std::size_t i = 0; i < scores.size(); ++i)
    if (!std::isfinite(scores[i])) throw NumericError(fmt::format("the score of token {} is {}", i, scores[i]));
  const std::vector<double> p = probabilities(scores, choice);
  double sum = 0;
  std::size_t chosen = 0;
  for (std::size_t i = 0; i < p.size(); ++i) {
    if (p[i] == 0) continue;
    chosen = i;  // the last one that there is, where rounding leaves the sum below 1
    sum += p[i];
    if (uniform < sum) break;
  }
  return static_cast<std::int32_t>(chosen);
}

}  // namespace switchyard::model
