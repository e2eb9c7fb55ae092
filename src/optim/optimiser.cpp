#include "optim/optimiser.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "device/thread_pool.hpp"
#include "ops/reduce.hpp"
#include "ops/update.hpp"

namespace switchyard::optim {

namespace {

// The step from which the rate falls, if it does.
index_t decay_begin(const Options& options, index_t horizon) {
  if (options.schedule != ScheduleKind::warmup_stable_decay) return options.warmup_steps;
  const index_t steps = std::llround(options.decay_share * static_cast<double>(horizon));
  return std::max(options.warmup_steps, horizon - std::max<index_t>(steps, 1));
}

// What is left of the rate, from 1 to 0, when a share of the decay is done.
double part_left(ScheduleKind schedule, double done) {
  switch (schedule) {
    case ScheduleKind::constant:
      return 1.0;
    case ScheduleKind::cosine:
      return 0.5 * (1.0 + std::cos(std::numbers::pi * done));
    case ScheduleKind::linear:
    case ScheduleKind::warmup_stable_decay:
      return 1.0 - done;
  }
  return 1.0;
}

}  // namespace

double learning_rate(const Options& options, index_t horizon, index_t step) {
  if (step < options.warmup_steps) {
    return options.learning_rate * static_cast<double>(step + 1) / static_cast<double>(options.warmup_steps);
  }
  const index_t begin = decay_begin(options, horizon);
  const double length = static_cast<double>(std::max<index_t>(horizon - begin, 1));
  const double done = std::clamp(static_cast<double>(step - begin) / length, 0.0, 1.0);
  return options.learning_rate * (options.floor + (1.0 - options.floor) * part_left(options.schedule, done));
}

double clip_scale(double norm, double max_norm) {
  return max_norm > 0.0 && norm > max_norm ? max_norm / norm : 1.0;
}

OptimiserKind kind_of(const Options& options, nn::Role role) {
  const bool has_own = role == nn::Role::router && options.gate_name != OptimiserKind::same;
  return has_own ? options.gate_name : options.name;
}

bool decays(const Options& options, nn::Role role) {
  if (!options.decay_on.empty()) {
    const std::string_view name = nn::role_names[static_cast<std::size_t>(role)];
    return std::ranges::find(options.decay_on, name) != options.decay_on.end();
  }
  return role == nn::Role::weight || kind_of(options, role) != OptimiserKind::adamw;
}

std::vector<std::string> state_names(const Options& options, nn::Role role) {
  const OptimiserKind kind = kind_of(options, role);
  if (kind == OptimiserKind::adam || kind == OptimiserKind::adamw) return {"first_moment", "second_moment"};
  if (options.momentum > 0) return {"velocity"};
  return {};
}

Optimiser::Optimiser(const Options& options, const nn::NormTable& norms, std::vector<nn::ParameterSlice> slices)
    : options_(options), norms_(norms), slices_(std::move(slices)), unit_norms_(norms.unit_begin.size() - 1) {
  constexpr index_t piece = 8192;  // 96 KiB of weight and moments: worth a thread's while
  constexpr index_t aligned = index_t{device::alignment_bytes} / size_of<float>;
  index_t floats = 0;
  std::size_t names = 0;
  for (std::size_t i = 0; i < slices_.size(); ++i) {
    const index_t count = slices_[i].count;
    for (index_t begin = 0; begin < count; begin += piece)
      pieces_.push_back({i, {begin, std::min(count, begin + piece)}});
    state_begin_.push_back(floats);
    floats += round_up(count, aligned);
    names = std::max(names, state_names(i).size());
  }
  failed_.resize(std::ssize(pieces_));
  for (std::size_t name = 0; name < names; ++name) states_.emplace_back(floats);
  for (std::size_t role = 0; role < weight_decay_.size(); ++role) {
    if (decays(options_, static_cast<nn::Role>(role)))
      weight_decay_[role] = static_cast<float>(options_.weight_decay);
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

void Optimiser::update(device::Context& context, const UpdateStep& step) {
  for (std::size_t i = 0; i < slices_.size(); ++i) {
    // The slices of a unit are neighbours: its norm is added up once.
    const index_t unit = slices_[i].unit;
    if (kind_of(options_, slices_[i].role) == OptimiserKind::normalised_sgd &&
        (i == 0 || slices_[i - 1].unit != unit))
      unit_norms_[unit] = unit_norm(unit, step.squares);
  }
  const auto steps = static_cast<double>(step.step + 1);
  bias_correction1_ = 1.0 - std::pow(options_.beta1, steps);
  bias_correction2_ = 1.0 - std::pow(options_.beta2, steps);
  context.pool().parallel_for(std::ssize(pieces_),
                              [&](index_t i) { failed_[i] = update_piece(context, step, pieces_[i]) ? 0 : 1; });
  const auto first = std::ranges::find(failed_, 1);
  if (first != failed_.end() && not_finite_.empty())
    not_finite_ = slices_[pieces_[first - failed_.begin()].slice].name;
}

bool Optimiser::update_piece(device::Context& context, const UpdateStep& step, const Piece& piece) {
  const nn::ParameterSlice& slice = slices_[piece.slice];
  const index_t begin = piece.elements.begin;
  const index_t count = piece.elements.size();
  const Span<float> value(slice.value + begin, count);
  const Span<const float> gradient(slice.gradient + begin, count);
  const auto moments = [&](std::size_t name) { return state(piece.slice, name).subspan(begin, count); };
  const double router_rate =
      options_.gate_learning_rate > 0 ? options_.gate_learning_rate / options_.learning_rate : 1;
  const double rate = step.learning_rate * (slice.role == nn::Role::router ? router_rate : 1.0);
  const OptimiserKind kind = kind_of(options_, slice.role);
  const float weight_decay = weight_decay_[static_cast<std::size_t>(slice.role)];
  if (kind == OptimiserKind::adam || kind == OptimiserKind::adamw) {
    const ops::AdamStep adam{rate,
                             static_cast<float>(1.0 - options_.beta1),
                             static_cast<float>(1.0 - options_.beta2),
                             static_cast<float>(options_.epsilon),
                             weight_decay,
                             static_cast<float>(step.gradient_scale),
                             bias_correction1_,
                             bias_correction2_,
                             kind == OptimiserKind::adamw ? ops::Decay::decoupled : ops::Decay::l2};
    return ops::adam_update(context, adam, value, gradient, {moments(0), moments(1)});
  }
  double scale = step.gradient_scale;
  if (kind == OptimiserKind::normalised_sgd) {
    if (unit_norms_[slice.unit] == 0.0) return true;
    scale = 1.0 / unit_norms_[slice.unit];
  }
  const ops::SgdStep sgd{static_cast<float>(rate), static_cast<float>(options_.momentum), weight_decay,
                         static_cast<float>(scale)};
  return ops::sgd_update(context, sgd, value, gradient, options_.momentum > 0 ? moments(0) : Span<float>{});
}

}  // namespace switchyard::optim
