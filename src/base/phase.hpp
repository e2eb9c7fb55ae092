// The parts of a step.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace switchyard {

enum class Phase : std::uint8_t {
  data,
  attention,
  feed_forward,
  gate,
  exchange,
  experts,
  combine,
  reduction,
  update,
  other
};
inline constexpr std::size_t phase_count = 10;

constexpr std::string_view name(Phase phase) {
  constexpr std::array<std::string_view, phase_count> names = {
      "data",    "attention", "feed_forward", "gate",   "exchange",
      "experts", "combine",   "reduction",    "update", "other"};
  return names[static_cast<std::size_t>(phase)];
}

}  // namespace switchyard
