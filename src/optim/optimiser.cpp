#include "optim/optimiser.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "ops/reduce.hpp"
#include "ops/update.hpp"

namespace switchyard::optim {

double learning_rate(const Options& options, index_t horizon, index_t step) {
  if (step < options.warmup_steps) {
    return options.learning_rate * static_cast<double>(step + 1) / static_cast<double>(options.warmup_steps);
  }
  if (options.schedule == ScheduleKind::constant) return options.learning_rate;
  const double length = static_cast<double>(std::max<index_t>(horizon - options.warmup_steps, 1));
  const double done = std::min(1.0, static_cast<double>(step - options.warmup_steps) / length);
  return options.learning_rate * 0.5 * (1.0 + std::cos(std::numbers::pi * done));
}

double clip_scale(double norm, double max_norm) {
  return max_norm > 0.0 && norm > max_norm ? max_norm / norm : 1.0;
}

OptimiserKind kind_of_unit(const Options& options, index_t unit) {
  return unit > 0 || options.gate_name == OptimiserKind::same ? options.name : options.gate_name;
}

std::vector<std::string> state_names(const Options& options, index_t unit) {
  if (kind_of_unit(options, unit) == OptimiserKind::adam) return {"first_moment", "second_moment"};
  if (options.momentum > 0) return {"velocity"};
  return {};
}

Optimiser::Optimiser(const Options& options, const nn::NormTable& norms, std::vector<nn::ParameterSlice> slices)
    : options_(options), norms_(norms), slices_(std::move(slices)), states_(slices_.size()) {
  for (std::size_t i = 0; i < slices_.size(); ++i) {
    for (std::size_t name = 0; name < state_names(i).size(); ++name) states_[i].emplace_back(slices_[i].count);
  }
}

double Optimiser::unit_norm(index_t unit, Span<const double> squares) const {
  const index_t begin = norms_.unit_begin[unit];
  const index_t end = norms_.unit_begin[unit + 1];
  const auto norm_of = [&](index_t first, index_t last) {
    return std::sqrt(ops::sum_tree(squares.subspan(first, last - first)));
  };
  if (options_.gradient_norm == GradientNorm::whole) return norm_of(begin, end);
  double sum = 0;
  for (index_t first = begin; first < end;) {
    index_t last = first + 1;
    const auto parameter = [&](index_t entry) { return norms_.parameter[entry]; };
    while (last < end && parameter(last) == parameter(first)) ++last;
    sum += norm_of(first, last);
    first = last;
  }
  return sum;
}

void Optimiser::note(std::size_t slice, bool is_finite) {
  if (!is_finite && not_finite_.empty()) not_finite_ = slices_[slice].name;
}

void Optimiser::update(device::Context& context, const UpdateStep& step) {
  const auto count = static_cast<double>(step.step + 1);
  const double gate_rate =
      options_.gate_learning_rate > 0 ? options_.gate_learning_rate / options_.learning_rate : 1;
  double norm = 0;  // of the unit at hand, where it is divided by
  for (std::size_t i = 0; i < slices_.size(); ++i) {
    const nn::ParameterSlice& slice = slices_[i];
    const Span<float> value(slice.value, slice.count);
    const Span<const float> gradient(slice.gradient, slice.count);
    const double rate = step.learning_rate * (slice.unit == 0 ? gate_rate : 1.0);
    const OptimiserKind kind = kind_of_unit(options_, slice.unit);
    if (kind == OptimiserKind::adam) {
      const ops::AdamStep adam{rate,
                               static_cast<float>(1.0 - options_.beta1),
                               static_cast<float>(1.0 - options_.beta2),
                               static_cast<float>(options_.epsilon),
                               static_cast<float>(options_.weight_decay),
                               static_cast<float>(step.gradient_scale),
                               1.0 - std::pow(options_.beta1, count),
                               1.0 - std::pow(options_.beta2, count)};
      note(i, ops::adam_update(context, adam, value, gradient, {state(i, 0), state(i, 1)}));
      continue;
    }
    double scale = step.gradient_scale;
    if (kind == OptimiserKind::normalised_sgd) {
      // The slices of a unit are neighbours: its norm is added up once.
      if (i == 0 || slices_[i - 1].unit != slice.unit) norm = unit_norm(slice.unit, step.squares);
      if (norm == 0.0) continue;
      scale = 1.0 / norm;
    }
    const ops::SgdStep sgd{static_cast<float>(rate), static_cast<float>(options_.momentum),
                           static_cast<float>(options_.weight_decay), static_cast<float>(scale)};
    note(i, ops::sgd_update(context, sgd, value, gradient, states_[i].empty() ? Span<float>{} : state(i, 0)));
  }
}

}  // namespace switchyard::optim
