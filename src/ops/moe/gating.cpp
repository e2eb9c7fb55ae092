#include "ops/moe/gating.hpp"

#include "base/contract.hpp"
#include "device/launch.hpp"
#include "ops/detail/expect_shape.hpp"
#include "ops/moe/kernels/gating.hpp"

namespace switchyard::ops {
namespace {

using detail::expect_shape;

void expect_slots(index_t slots, index_t experts) {
  SY_EXPECTS(slots >= 1 && slots <= experts, "{} slots for {} experts", slots, experts);
}

WeightSum sum_of(WeightSum sum, index_t slots) {
  if (sum != WeightSum::usual) return sum;
  return slots == 1 ? WeightSum::experts : WeightSum::slots;
}

template <class T>
T* data_or_null(Span<T> values) {
  return values.empty() ? nullptr : values.data();
}

}  // namespace

void add_noise(device::Context& context, tensor::ConstMatrix logits, Span<const index_t> ids,
               const Noise& noise, tensor::Matrix noisy) {
  expect_shape("noisy", noisy, logits.rows, logits.cols);
  SY_EXPECTS(std::ssize(ids) == logits.rows && noise.key.stream < 4, "{} ids for {} samples, stream {}",
             ids.size(), logits.rows, noise.key.stream);
  device::for_each_row(context, logits.rows, kernels::AddNoise{logits, ids.data(), noise, noisy});
}

void log_sigmoid(device::Context& context, tensor::ConstMatrix x, tensor::Matrix y) {
  expect_shape("y", y, x.rows, x.cols);
  device::for_each_row(context, x.rows, kernels::LogSigmoid{x, y});
}

void log_sigmoid_backward(device::Context& context, tensor::ConstMatrix x, tensor::Matrix d) {
  expect_shape("d", d, x.rows, x.cols);
  device::for_each_row(context, x.rows, kernels::LogSigmoidBackward{x, d});
}

void scale(device::Context& context, tensor::ConstMatrix x, float factor, tensor::Matrix y) {
  expect_shape("y", y, x.rows, x.cols);
  device::for_each_row(context, x.rows, kernels::Scale{x, factor, y});
}

void shares(device::Context& context, tensor::ConstMatrix x, tensor::Matrix y) {
  expect_shape("y", y, x.rows, x.cols);
  device::for_each_row(context, x.rows, kernels::SharesOfRow{x, y});
}

void gate_weights(device::Context& context, tensor::ConstMatrix scores, const std::int32_t* experts,
                  const SlotWeights& of_slots) {
  const auto& [weights, log_weights, entropies, by_largest, of_sum] = of_slots;
  const index_t slots = weights.cols;
  const WeightSum sum = sum_of(of_sum, slots);
  const bool over_all = sum == WeightSum::experts;
  expect_slots(slots, scores.cols);
  expect_shape("weights", weights, scores.rows, slots);
  expect_shape("log_weights", log_weights, scores.rows, slots);
  SY_EXPECTS(entropies.empty() || (slots == 1 && over_all && std::ssize(entropies) == scores.rows),
             "{} entropies for {} rows of {} slots", entropies.size(), scores.rows, slots);
  if (slots == 1 && over_all) {
    const index_t block = kernels::rows_per_block;
    device::for_each_row(
        context, (scores.rows + block - 1) / block,
        kernels::GateWeightsOfOne{scores, experts, weights, log_weights, data_or_null(entropies), by_largest});
    return;
  }
  device::for_each_row(context, scores.rows,
                       kernels::GateWeights{scores, experts, slots, sum, weights, log_weights});
}

void choose_one(device::Context& context, tensor::ConstMatrix values, tensor::Matrix log_weights) {
  expect_shape("log_weights", log_weights, values.rows, values.cols);
  device::for_each_row(context, values.rows, kernels::ChooseOne{values, log_weights});
}

void certainties(device::Context& context, const tensor::RowSource& log_probs, tensor::Matrix values) {
  SY_EXPECTS(log_probs.rows == values.rows * values.cols, "{} rows for {} x {} certainties", log_probs.rows,
             values.rows, values.cols);
  device::for_each_row(context, values.rows, kernels::Certainties{log_probs, values});
}

void gather_scores(device::Context& context, tensor::ConstMatrix scores, const std::int32_t* experts,
                   index_t slots, tensor::Matrix values) {
  expect_slots(slots, scores.cols);
  expect_shape("values", values, scores.rows, slots);
  SY_EXPECTS(values.stride == slots, "values {} apart, not {}", values.stride, slots);
  device::for_each(context, scores.rows * slots, kernels::GatherScores{scores, experts, values});
}

void gate_backward(device::Context& context, const GateGradient& gradient, tensor::Matrix d_scores) {
  GateGradient g = gradient;
  g.sum = sum_of(g.sum, g.weights.cols);
  const index_t samples = g.scores.rows;
  const index_t experts = g.scores.cols;
  const index_t slots = g.weights.cols;
  expect_slots(slots, experts);
  expect_shape("weights", g.weights, samples, slots);
  expect_shape("log_weights", g.log_weights, samples, slots);
  expect_shape("d_slots", g.d_slots, samples, slots);
  expect_shape("d_scores", d_scores, samples, experts);
  for (const auto& of : {g.importance, g.probability}) {
    SY_EXPECTS(of.empty() || std::ssize(of) == experts, "a regulariser's gradient has {} values for {} experts",
               of.size(), experts);
  }
  if (g.sample_probability.data != nullptr) {
    expect_shape("sample_probability", g.sample_probability, samples, experts);
  }
  device::for_each_row(
      context, samples,
      kernels::GateBackward{g, data_or_null(g.importance), data_or_null(g.probability), d_scores});
}

void score_statistics(device::Context& context, tensor::ConstMatrix scores, Span<double> squared_log_sums,
                      Span<double> entropies, double unit) {
  const index_t rows = scores.rows;
  SY_EXPECTS(
      (squared_log_sums.empty() || std::ssize(squared_log_sums) == rows) && std::ssize(entropies) == rows,
      "{} and {} results for {} rows", squared_log_sums.size(), entropies.size(), rows);
  device::for_each_row(
      context, rows,
      kernels::ScoreStatisticsOfRow{scores, data_or_null(squared_log_sums), entropies.data(), unit});
}

void entropy_rows(device::Context& context, tensor::ConstMatrix weights, Span<double> entropies) {
  SY_EXPECTS(std::ssize(entropies) == weights.rows, "{} entropies for {} rows", entropies.size(), weights.rows);
  device::for_each_row(context, weights.rows, kernels::EntropyOfRow{weights, entropies.data()});
}

}  // namespace switchyard::ops
