#include "moe/capacity.hpp"

#include <algorithm>
#include <bit>
#include <cmath>

#include "base/contract.hpp"
#include "device/transfer.hpp"

namespace switchyard::moe {

index_t places_of_expert(const Options& options, index_t slots) {
  if (options.capacity == 0) return 0;
  const double exact = options.capacity * static_cast<double>(slots) / static_cast<double>(options.experts);
  // 1.1 * 100 is 110.00000000000001: what rounding added makes no place.
  return static_cast<index_t>(std::ceil(exact * (1 - 1e-12)));
}

Capacity::Capacity(const Options& options)
    : options_(&options), loads_(options.experts), full_of_(options.experts) {
  full_.reserve(as_size(options.experts));
}

std::uint32_t Capacity::bits_of(const Choices& choices, index_t slot) {
  return choices.weights.empty() ? 0 : std::bit_cast<std::uint32_t>(choices.weights[slot]);
}

void Capacity::for_each_of_full(const Choices& choices, const auto& use) const {
  for (index_t s = 0; s < std::ssize(choices.experts); ++s) {
    if (const std::int32_t f = full_of_[choices.experts[s]]; f >= 0) use(s, f);
  }
}

Capacity::Choices Capacity::fetch(device::Context& context, const Routing& routing) const {
  Choices choices{device::fetch<const std::int32_t>(context, routing.experts), {}, routing.slots};
  if (options_->drop == DropBy::score) {
    SY_EXPECTS(routing.weights.stride == routing.slots, "weights {} apart, not {}", routing.weights.stride,
               routing.slots);
    choices.weights =
        device::fetch(context, Span<const float>(routing.weights.data, routing.samples * routing.slots));
  }
  context.wait();
  return choices;
}

void Capacity::limit(const nn::Pass& pass, comm::Communicator& communicator, Routing& routing) {
  if (options_->capacity == 0 || (!pass.is_training() && options_->capacity_when == When::training)) return;
  routing.is_limited = true;
  const Choices choices = fetch(pass.context, routing);
  device::Workspace& workspace = pass.context.host_workspace();
  find_full(communicator, choices, places_of_expert(*options_, pass.tiles().total_rows() * routing.slots));
  if (full_.empty()) return;
  if (options_->drop == DropBy::score) find_bits(workspace, communicator, choices);
  const Span<std::uint8_t> dropped = drop(workspace, count_before(workspace, communicator, choices), choices);
  routing.dropped = device::place(pass.context, dropped);
}

void Capacity::find_full(comm::Communicator& communicator, const Choices& choices, index_t places) {
  std::ranges::fill(loads_, 0);
  for (const std::int32_t e : choices.experts) ++loads_[e];
  communicator.all_reduce_sum(loads_);
  full_.clear();
  for (index_t e = 0; e < std::ssize(loads_); ++e) {
    const bool is_full = loads_[e] > places;
    full_of_[e] = is_full ? static_cast<std::int32_t>(full_.size()) : -1;
    if (is_full) full_.push_back({.left = places});
  }
}

// The C-th largest weight of each expert, eight of its bits after the other, the highest first.
void Capacity::find_bits(device::Workspace& workspace, comm::Communicator& communicator,
                         const Choices& choices) {
  constexpr index_t digits = 256;
  const Span<std::int64_t> histogram = workspace.allocate<std::int64_t>(std::ssize(full_) * digits);
  for (int shift = 24; shift >= 0; shift -= 8) {
    std::ranges::fill(histogram, 0);
    for_each_of_full(choices, [&](index_t s, std::int32_t f) {
      const std::uint64_t bits = bits_of(choices, s);
      if (bits >> (shift + 8) == std::uint64_t{full_[f].bits} >> (shift + 8))
        ++histogram[f * digits + static_cast<index_t>(bits >> shift) % digits];
    });
    communicator.all_reduce_sum(histogram);
    for (std::size_t f = 0; f < full_.size(); ++f) {
      const std::int64_t* const counts = &histogram[f * digits];
      index_t digit = digits - 1;
      for (; counts[digit] < full_[f].left; --digit) full_[f].left -= counts[digit];
      full_[f].bits |= static_cast<std::uint32_t>(digit) << shift;
    }
  }
}

// A sum of what each rank writes in a place of its own brings all counts to everybody.
Span<std::int64_t> Capacity::count_before(device::Workspace& workspace, comm::Communicator& communicator,
                                          const Choices& choices) const {
  const index_t full = std::ssize(full_);
  const index_t width = choices.slots * full;
  const index_t self = communicator.rank().value;
  const Span<std::int64_t> counts = workspace.allocate<std::int64_t>(communicator.size() * width);
  std::ranges::fill(counts, 0);
  for_each_of_full(choices, [&](index_t s, std::int32_t f) {
    if (bits_of(choices, s) == full_[f].bits) ++counts[self * width + s % choices.slots * full + f];
  });
  communicator.all_reduce_sum(counts);
  const Span<std::int64_t> before = workspace.allocate<std::int64_t>(width);
  for (index_t f = 0; f < full; ++f) {
    std::int64_t total = 0;
    for (index_t i = f; i < width; i += full) {
      for (index_t rank = 0; rank < communicator.size(); ++rank) {
        if (rank == self) before[i] = total;
        total += counts[rank * width + i];
      }
    }
  }
  return before;
}

Span<std::uint8_t> Capacity::drop(device::Workspace& workspace, Span<std::int64_t> before,
                                  const Choices& choices) const {
  const index_t full = std::ssize(full_);
  const Span<std::uint8_t> dropped = workspace.allocate<std::uint8_t>(std::ssize(choices.experts));
  std::ranges::fill(dropped, std::uint8_t{0});
  for_each_of_full(choices, [&](index_t s, std::int32_t f) {
    const std::uint32_t bits = bits_of(choices, s);
    const bool is_kept = bits > full_[f].bits ||
                         (bits == full_[f].bits && before[s % choices.slots * full + f]++ < full_[f].left);
    dropped[s] = is_kept ? 0 : 1;
  });
  return dropped;
}

}  // namespace switchyard::moe
