#include "base/hash.hpp"

#include <zlib.h>

#include <algorithm>

namespace switchyard {

std::uint32_t crc32(std::span<const std::byte> bytes, std::uint32_t previous) {
  uLong value = previous;
  const auto* data = reinterpret_cast<const Bytef*>(bytes.data());
  std::size_t left = bytes.size();
  while (left > 0) {  // zlib counts in 32 bits
    const auto piece = static_cast<uInt>(std::min<std::size_t>(left, 1u << 30));
    value = ::crc32(value, data, piece);
    data += piece;
    left -= piece;
  }
  return static_cast<std::uint32_t>(value);
}

}  // namespace switchyard
