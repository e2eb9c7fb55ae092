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

Coordinator::Coordinator(comm::Resources resources, nn::NormTable norms)
    : resources_(resources), norms_(std::move(norms)), squares_(norms_.entries()) {}

void expect_finite_updates(const optim::Optimiser& optimiser) {
  if (optimiser.not_finite().empty()) return;
  throw NumericError(fmt::format("'{}' or its moments are not finite after an update", optimiser.not_finite()));
}

// An entry of one square has that of the whole slice; of one with several the slice holds whole pieces.
void Coordinator::write_squares(const nn::ParameterSlice& slice) {
  const Span<const double> pieces = ops::squared_sums(resources_.context, {slice.gradient, slice.count});
  const IndexRange places{norms_.square_begin[slice.norm_entry], norms_.square_begin[slice.norm_entry + 1]};
  const auto write = [&](index_t place, double square) {
    message_[places.begin + place] = std::bit_cast<std::int64_t>(square);
  };
  if (places.size() == 1) return write(0, ops::sum_tree(pieces));
  for (index_t place = slice.first_element / ops::squared_piece; const double square : pieces)
    write(place++, square);
}

void Coordinator::read_squares() {
  pieces_.clear();
  for (index_t i = 0; i < norms_.squares(); ++i) pieces_.push_back(std::bit_cast<double>(message_[i]));
  for (index_t entry = 0; entry < norms_.entries(); ++entry) {
    const index_t begin = norms_.square_begin[entry];
    squares_[entry] =
        ops::sum_tree(Span<const double>(pieces_).subspan(begin, norms_.square_begin[entry + 1] - begin));
  }
}

Agreement Coordinator::agree(const optim::Optimiser& optimiser, const BatchLoader& loader,
                             moe::Statistics& statistics, StopConditions conditions) {
  auto& [communicator, data_plane, context, replicas] = resources_;
  index_t counts = 0;
  statistics.for_each_counts([&](Span<std::int64_t> of) { counts += std::ssize(of); });
  message_.assign(norms_.squares() + counts + 3, 0);
  context.pool().parallel_for(std::ssize(optimiser.slices()),
                              [&](index_t i) { write_squares(optimiser.slices()[as_size(i)]); });
  auto place = message_.begin() + norms_.squares();
  statistics.for_each_counts([&](Span<std::int64_t> of) { place = std::ranges::copy(of, place).out; });
  std::int64_t& broken = message_[message_.size() - 3];
  std::int64_t& stop = message_[message_.size() - 2];
  std::int64_t& time = message_[message_.size() - 1];
  broken = optimiser.not_finite().empty() && !loader.has_failed() ? 0 : 1;
  stop = conditions.stop_requested ? 1 : 0;
  time = conditions.out_of_time && communicator.is_root() ? 1 : 0;

  data_plane.all_reduce_sum(context, message_);

  if (broken > 0) {
    comm::agree(communicator, [&] {
      loader.expect_loaded();
      expect_finite_updates(optimiser);
    });
  }
  place = message_.begin() + norms_.squares();
  statistics.for_each_counts([&](Span<std::int64_t> of) {
    std::copy_n(place, of.size(), of.begin());
    place += std::ssize(of);
  });
  read_squares();
  const double norm = std::sqrt(ops::sum_tree(squares_));
  if (!std::isfinite(norm)) {
    throw_agreed(
        ErrorKind::numeric,
        fmt::format("the norm of the gradient is {} (the loss is finite, so a derivative overflowed)", norm));
  }
  return {norm, squares_, stop > 0, time > 0};
}

}  // namespace switchyard::train
