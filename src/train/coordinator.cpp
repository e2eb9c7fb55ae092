#include "train/coordinator.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>

#include "base/error.hpp"
#include "comm/agreement.hpp"
#include "device/thread_pool.hpp"
#include "ops/reduce.hpp"

namespace switchyard::train {

Coordinator::Coordinator(comm::Resources resources, index_t norm_entries)
    : resources_(resources), norm_entries_(as_size(norm_entries)), squares_(as_size(norm_entries)) {}

void expect_finite_updates(const optim::Optimiser& optimiser) {
  if (optimiser.not_finite().empty()) return;
  throw NumericError(fmt::format("'{}' or its moments are not finite after an update", optimiser.not_finite()));
}

Agreement Coordinator::agree(const optim::Optimiser& optimiser, moe::GateStatistics& statistics,
                             StopConditions conditions) {
  auto& [communicator, context] = resources_;
  const Span<std::int64_t> counts = statistics.counts();
  message_.assign(norm_entries_ + counts.size() + 3, 0);
  context.pool().parallel_for(std::ssize(optimiser.slices()), [&](index_t i) {
    const nn::ParameterSlice& slice = optimiser.slices()[as_size(i)];
    if (slice.shared && !communicator.is_root()) return;  // one rank speaks for all copies
    const double square = ops::squared_sum(context, {slice.gradient, slice.count});
    message_[slice.norm_entry] = std::bit_cast<std::int64_t>(square);
  });
  std::ranges::copy(counts, message_.begin() + static_cast<std::ptrdiff_t>(norm_entries_));
  std::int64_t& broken = message_[message_.size() - 3];
  std::int64_t& stop = message_[message_.size() - 2];
  std::int64_t& time = message_[message_.size() - 1];
  broken = optimiser.not_finite().empty() ? 0 : 1;
  stop = conditions.stop_requested ? 1 : 0;
  time = conditions.out_of_time && communicator.is_root() ? 1 : 0;

  communicator.all_reduce_sum(message_);

  if (broken > 0) comm::agree(communicator, [&] { expect_finite_updates(optimiser); });
  std::copy_n(message_.begin() + static_cast<std::ptrdiff_t>(norm_entries_), counts.size(), counts.begin());
  for (std::size_t i = 0; i < norm_entries_; ++i) squares_[i] = std::bit_cast<double>(message_[i]);
  const double norm = std::sqrt(ops::sum_tree(squares_));
  if (!std::isfinite(norm)) {
    throw_agreed(
        ErrorKind::numeric,
        fmt::format("the norm of the gradient is {} (the loss is finite, so a derivative overflowed)", norm));
  }
  return {norm, squares_, stop > 0, time > 0};
}

}  // namespace switchyard::train
