// Checksums of bytes.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/span.hpp"

struct XXH3_state_s;  // of xxhash.h

namespace switchyard {

// CRC-32 (IEEE, as zlib and gzip), continued from `previous` (0 to start).
std::uint32_t crc32(Span<const std::byte> bytes, std::uint32_t previous = 0);

// XXH3-128 of bytes that come in pieces: a digest of content, no signature.
class ContentHash {
 public:
  ContentHash();

  void add(Span<const std::byte> bytes);
  std::array<std::byte, 16> digest() const;  // canonical: most significant byte first
  std::string hex() const;                   // the same as 32 digits

 private:
  struct Free {
    void operator()(XXH3_state_s* state) const noexcept;
  };
  std::unique_ptr<XXH3_state_s, Free> state_;
};

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
