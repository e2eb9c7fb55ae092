// Checksums of bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace switchyard {

// CRC-32 (IEEE, as zlib and gzip), continued from `previous` (0 to start).
std::uint32_t crc32(std::span<const std::byte> bytes, std::uint32_t previous = 0);

// 64-bit FNV-1a: a stable key for a name, for use as a random stream.
constexpr std::uint64_t fnv1a(std::string_view text) {
  std::uint64_t hash = 0xcbf29ce484222325ULL;
  for (const char c : text) {
    hash ^= static_cast<unsigned char>(c);
    hash *= 0x100000001b3ULL;
  }
  return hash;
}

}  // namespace switchyard
