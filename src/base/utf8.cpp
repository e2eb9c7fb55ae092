#include "base/utf8.hpp"

#include <algorithm>
#include <string>

namespace switchyard {

std::size_t character_bytes(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  if (lead < 0x80) return 1;
  const std::size_t bytes = lead >= 0xf5 ? 0 : lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : lead >= 0xc2 ? 2 : 0;
  if (bytes == 0 || text.size() < bytes) return 0;
  for (std::size_t i = 1; i < bytes; ++i)
    if ((byte(i) & 0xc0) != 0x80) return 0;
  const unsigned char second = byte(1);
  const bool is_too_long = (lead == 0xe0 && second < 0xa0) || (lead == 0xf0 && second < 0x90);
  const bool is_surrogate = lead == 0xed && second >= 0xa0;
  const bool is_beyond = lead == 0xf4 && second >= 0x90;
  return is_too_long || is_surrogate || is_beyond ? 0 : bytes;
}

std::size_t unfinished_bytes(std::string_view text) {
  for (std::size_t bytes = std::min<std::size_t>(text.size(), 3); bytes > 0; --bytes) {
    // Only the byte behind the first has other bounds than the rest, and one of the two ends of those.
    for (const char end : {'\x80', '\xbf'}) {
      std::string whole(text.substr(text.size() - bytes));
      whole.append(3, end);
      if (character_bytes(whole) > bytes) return bytes;
    }
  }
  return 0;
}

}  // namespace switchyard
