#include "optim/optimiser.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

#include "device/transfer.hpp"
#include "ops/agreement.hpp"

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

Optimiser::Optimiser(const Options& options, const nn::NormTable& norms, std::vector<nn::ParameterSlice> slices,
                     device::MemoryKind memory)
    : options_(options), slices_(std::move(slices)), has_failed_(1, memory) {
  allocate_states(memory);
  list_pieces(memory);
  list_norms(norms, memory);
}

void Optimiser::allocate_states(device::MemoryKind memory) {
  constexpr index_t aligned = index_t{device::alignment_bytes} / size_of<float>;
  index_t floats = 0;
  std::size_t names = 0;
  for (std::size_t i = 0; i < slices_.size(); ++i) {
    state_begin_.push_back(floats);
    floats += round_up(slices_[i].count, aligned);
    names = std::max(names, state_names(i).size());
  }
  for (std::size_t name = 0; name < names; ++name) states_.emplace_back(floats, memory);
}

void Optimiser::list_pieces(device::MemoryKind memory) {
  Vector<ops::UpdatePiece> pieces;
  const auto add = [&](std::size_t i) {
    const nn::ParameterSlice& slice = slices_[i];
    const std::size_t names = state_names(i).size();
    for (index_t begin = 0; begin < slice.count; begin += ops::update_piece) {
      const auto state_at = [&](std::size_t name) {
        return ops::FromBase<float>(base(), names > name ? state(i, name).data() + begin : nullptr);
      };
      pieces.push_back({.value = {base(), slice.value + begin},
                        .gradient = {base(), slice.gradient + begin},
                        .first = state_at(0),
                        .second = state_at(1),
                        .count = static_cast<std::int32_t>(std::min(slice.count - begin, ops::update_piece)),
                        .group = static_cast<std::int32_t>(slice.role),
                        .unit = static_cast<std::int32_t>(slice.unit)});
      slice_of_piece_.push_back(static_cast<std::int32_t>(i));
    }
  };
  for (const OptimiserKind kind :
       {OptimiserKind::adam, OptimiserKind::adamw, OptimiserKind::sgd, OptimiserKind::normalised_sgd}) {
    const index_t begin = std::ssize(pieces);
    for (std::size_t i = 0; i < slices_.size(); ++i)
      if (kind_of(options_, slices_[i].role) == kind) add(i);
    if (std::ssize(pieces) > begin) kinds_.push_back({kind, {begin, std::ssize(pieces)}});
  }
  pieces_ = device::make_table<ops::UpdatePiece>(memory, pieces);
  failed_ = device::Buffer<std::uint8_t>(ops::failure_bytes(std::ssize(pieces)), memory);
}

void Optimiser::list_norms(const nn::NormTable& norms, device::MemoryKind memory) {
  Vector<std::int64_t> long_entries;
  index_t most_nodes = norms.entries();
  for (index_t entry = 0; entry < norms.entries(); ++entry) {
    const index_t squares = norms.square_begin[entry + 1] - norms.square_begin[entry];
    if (squares > ops::short_squares) long_entries.push_back(entry);
    most_nodes = std::max(most_nodes, squares);
  }
  norms_.square_begin = device::make_table<std::int64_t>(memory, norms.square_begin);
  norms_.long_entries = device::make_table<std::int64_t>(memory, long_entries);
  norms_.squares = device::Buffer<double>(norms.entries(), memory);
  norms_.nodes = device::Buffer<double>(most_nodes, memory);
  const bool divides = std::ranges::any_of(
      kinds_, [](const Kind& kind) { return kind.optimiser == OptimiserKind::normalised_sgd; });
  if (!divides) return;
  norms_.unit_begin = device::make_table<std::int64_t>(memory, norms.unit_begin);
  norms_.parameter = device::make_table<std::int64_t>(memory, norms.parameter);
  norms_.unit_scales = device::Buffer<float>(norms.units(), memory);
}

ops::StepScalars::Given Optimiser::given(index_t step, double learning_rate) const {
  static_assert(std::ssize(nn::role_names) <= ops::StepScalars::most_groups);
  const auto steps = static_cast<double>(step + 1);
  const double correction1 = 1.0 - std::pow(options_.beta1, steps);
  const double correction2 = 1.0 - std::pow(options_.beta2, steps);
  const double router_rate =
      options_.gate_learning_rate > 0 ? options_.gate_learning_rate / options_.learning_rate : 1;
  ops::StepScalars::Given given;
  given.inverse_root_second = static_cast<float>(1.0 / std::sqrt(correction2));
  for (std::size_t i = 0; i < nn::role_names.size(); ++i) {
    const auto role = static_cast<nn::Role>(i);
    const double rate = learning_rate * (role == nn::Role::router ? router_rate : 1.0);
    const float decay = decays(options_, role) ? static_cast<float>(options_.weight_decay) : 0.0F;
    given.rates[i] = {.rate = static_cast<float>(rate),
                      .corrected_rate = static_cast<float>(rate / correction1),
                      .weight_decay = decay,
                      .decoupled_decay = static_cast<float>(rate * static_cast<double>(decay))};
  }
  return given;
}

void Optimiser::agree(device::Context& context, Span<const std::int64_t> message, Span<const double> sums,
                      ops::StepScalars* scalars) {
  const ops::NormTables tables{.square_begin = norms_.square_begin.span(),
                               .long_entries = norms_.long_entries.span(),
                               .unit_begin = norms_.unit_begin.span(),
                               .parameter = norms_.parameter.span(),
                               .sum_of_parameters = options_.gradient_norm == GradientNorm::sum_of_tensors,
                               .squares = norms_.squares.span(),
                               .nodes = norms_.nodes.span(),
                               .unit_scales = norms_.unit_scales.span()};
  ops::agree(context, {.message = message, .sums = sums, .most_norm = options_.clip_norm}, tables, scalars);
}

void Optimiser::update(device::Context& context, const ops::StepScalars* scalars) {
  for (const Kind& kind : kinds_) update_kind(context, kind, scalars);
  if (!kinds_.empty()) ops::note_failures(context, failed_.span(), has_failed_.data());
}

void Optimiser::update_kind(device::Context& context, const Kind& kind, const ops::StepScalars* scalars) {
  const ops::Update update{.pieces = pieces_.span().subspan(kind.pieces.begin, kind.pieces.size()),
                           .base = base(),
                           .scalars = scalars,
                           .failed = failed_.data() + kind.pieces.begin};
  if (kind.optimiser == OptimiserKind::adam || kind.optimiser == OptimiserKind::adamw) {
    const ops::Adam adam{
        .one_minus_beta1 = static_cast<float>(1.0 - options_.beta1),
        .one_minus_beta2 = static_cast<float>(1.0 - options_.beta2),
        .epsilon = static_cast<float>(options_.epsilon),
        .decay = kind.optimiser == OptimiserKind::adamw ? ops::Decay::decoupled : ops::Decay::l2};
    return ops::adam_update(context, adam, update);
  }
  const bool is_normalised = kind.optimiser == OptimiserKind::normalised_sgd;
  ops::sgd_update(context,
                  {.momentum = static_cast<float>(options_.momentum),
                   .unit_scales = is_normalised ? norms_.unit_scales.data() : nullptr},
                  update);
}

// Later updates have changed nothing, so the marks are still those of the one that failed.
std::string Optimiser::not_finite(device::Context& context) const {
  context.wait();
  std::int64_t has_failed = 0;
  device::copy_back_now(&has_failed, has_failed_.data(), has_failed_.memory(), sizeof(has_failed));
  if (has_failed == 0) return {};
  Vector<std::uint8_t> failed(failed_.count());
  device::copy_back_now(failed.data(), failed_.data(), failed_.memory(), as_size(failed_.count()));
  std::int32_t first = std::numeric_limits<std::int32_t>::max();
  for (index_t piece = 0; piece < std::ssize(slice_of_piece_); ++piece)
    if (failed[piece] != 0) first = std::min(first, slice_of_piece_[piece]);
  return slices_[as_size(first)].name;
}

}  // namespace switchyard::optim
