#include "ops/moe/slots.hpp"

#include "base/contract.hpp"
#include "device/launch.hpp"
#include "ops/detail/expect_shape.hpp"
#include "ops/moe/kernels/slots.hpp"

namespace switchyard::ops {
namespace {

void expect_count(std::size_t count, index_t expected) {
  SY_EXPECTS(static_cast<index_t>(count) == expected, "{} values, not {}", count, expected);
}

}  // namespace

void take_all(device::Context& context, index_t slots, Span<std::int32_t> experts) {
  device::for_each(context, std::ssize(experts), kernels::TakeAll{slots, experts.data()});
}

void experts_by_label(device::Context& context, Span<const std::int32_t> expert_of_label,
                      Span<const std::int32_t> labels, Span<std::int32_t> experts) {
  expect_count(labels.size(), std::ssize(experts));
  device::for_each(context, std::ssize(experts),
                   kernels::ExpertsByLabel{expert_of_label.data(), labels.data(), experts.data()});
}

void weigh_fully(device::Context& context, tensor::Matrix weights, tensor::Matrix log_weights) {
  detail::expect_shape("log_weights", log_weights, weights.rows, weights.cols);
  SY_EXPECTS(weights.stride == weights.cols && log_weights.stride == weights.cols,
             "rows {} and {} apart, not {}", weights.stride, log_weights.stride, weights.cols);
  device::for_each(context, weights.rows * weights.cols, kernels::WeighFully{weights.data, log_weights.data});
}

void fill(device::Context& context, std::int32_t value, Span<std::int32_t> values) {
  device::for_each(context, std::ssize(values), kernels::Fill{value, values.data()});
}

void repeat(device::Context& context, Span<const std::int32_t> values, index_t times, Span<std::int32_t> all) {
  expect_count(all.size(), std::ssize(values) * times);
  device::for_each(context, std::ssize(all), kernels::Repeat{values.data(), times, all.data()});
}

void number_parts(device::Context& context, Span<const index_t> ids, index_t times, Span<index_t> all) {
  expect_count(all.size(), std::ssize(ids) * times);
  device::for_each(context, std::ssize(all), kernels::NumberParts{ids.data(), times, all.data()});
}

void weigh_losses(device::Context& context, Span<const float> weights, Span<float> losses) {
  expect_count(weights.size(), std::ssize(losses));
  device::for_each(context, std::ssize(losses), kernels::WeighLosses{weights.data(), losses.data()});
}

void weigh_gradients(device::Context& context, Span<const float> weights, tensor::Matrix slots,
                     const tensor::RowTarget& rows) {
  expect_count(weights.size(), slots.rows);
  device::for_each_row(context, slots.rows, kernels::WeighGradients{weights.data(), slots, rows});
}

void add_log_weights(device::Context& context, Span<const float> losses, tensor::ConstMatrix log_weights,
                     Span<float> sums) {
  expect_count(losses.size(), log_weights.rows);
  expect_count(sums.size(), log_weights.rows);
  device::for_each(context, log_weights.rows, kernels::AddLogWeights{losses.data(), log_weights, sums.data()});
}

void move_biases(device::Context& context, Span<const std::int64_t> loads, double rate, Span<float> biases) {
  expect_count(loads.size(), std::ssize(biases));
  device::for_each_row(context, 1, kernels::MoveBiases{loads.data(), std::ssize(biases), rate, biases.data()});
}

}  // namespace switchyard::ops
