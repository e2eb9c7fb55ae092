// The clock on the wall: for people and for other programs' files, never for differences.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <string_view>

namespace switchyard {

// Milliseconds since 1970, UTC. May jump: somebody sets the clock.
inline std::int64_t wall_milliseconds() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

// Such a moment as ISO 8601 has it, "2026-11-30T02:32:25.120Z", without an allocation.
class IsoTime {
 public:
  explicit IsoTime(std::int64_t milliseconds);
  std::string_view text() const { return {text_.data(), text_.size()}; }

 private:
  std::array<char, 24> text_;
};

}  // namespace switchyard
