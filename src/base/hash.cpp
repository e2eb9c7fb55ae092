#include "base/hash.hpp"

#include <fmt/format.h>
#include <xxhash.h>
#include <zlib.h>

#include <algorithm>
#include <bit>
#include <new>

namespace switchyard {

std::uint32_t crc32(Span<const std::byte> bytes, std::uint32_t previous) {
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

void ContentHash::Free::operator()(XXH3_state_s* state) const noexcept { XXH3_freeState(state); }

ContentHash::ContentHash() : state_(XXH3_createState()) {
  if (state_ == nullptr) throw std::bad_alloc();
  XXH3_128bits_reset(state_.get());  // it and the update below fail for a null state only
}

void ContentHash::add(Span<const std::byte> bytes) {
  XXH3_128bits_update(state_.get(), bytes.data(), bytes.size());
}

std::array<std::byte, 16> ContentHash::digest() const {
  XXH128_canonical_t canonical;
  XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(state_.get()));
  return std::bit_cast<std::array<std::byte, 16>>(canonical);
}

std::string ContentHash::hex() const {
  std::string text;
  for (const std::byte byte : digest()) text += fmt::format("{:02x}", static_cast<unsigned>(byte));
  return text;
}

}  // namespace switchyard
