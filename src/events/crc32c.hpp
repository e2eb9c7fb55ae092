// CRC-32C (Castagnoli), the checksum of TFRecord files.
#pragma once

#include <cstdint>
#include <string_view>

namespace switchyard::events {

// RFC 3720, appendix B.4. Local.
std::uint32_t crc32c(std::string_view bytes);

// As TFRecord files hold it: rotated and moved, so that the checksum of bytes that hold checksums is none of
// their own.
constexpr std::uint32_t masked(std::uint32_t crc) { return ((crc >> 15U) | (crc << 17U)) + 0xa282ead8U; }

}  // namespace switchyard::events
