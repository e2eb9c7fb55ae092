#include "events/crc32c.hpp"

#include <array>
#include <bit>
#include <cstddef>
#include <cstring>

namespace switchyard::events {
namespace {

static_assert(std::endian::native == std::endian::little);

constexpr std::size_t word_bytes = 8;
using Table = std::array<std::array<std::uint32_t, 256>, word_bytes>;

// [k][b]: what byte b adds to the checksum when k more bytes follow it.
constexpr Table make_table() {
  Table table{};
  for (std::uint32_t byte = 0; byte < 256; ++byte) {
    std::uint32_t crc = byte;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1U) ^ ((crc & 1U) != 0 ? 0x82f63b78U : 0U);
    table[0][byte] = crc;
  }
  for (std::size_t k = 1; k < word_bytes; ++k) {
    for (std::size_t byte = 0; byte < 256; ++byte) {
      const std::uint32_t crc = table[k - 1][byte];
      table[k][byte] = (crc >> 8U) ^ table[0][crc & 0xffU];
    }
  }
  return table;
}

constexpr Table table = make_table();

}  // namespace

// Eight bytes at a time: byte by byte it takes longer than all else of a step's event.
std::uint32_t crc32c(std::string_view bytes) {
  std::uint32_t crc = ~0U;
  while (bytes.size() >= word_bytes) {
    std::uint64_t word = 0;
    std::memcpy(&word, bytes.data(), word_bytes);
    word ^= crc;
    crc = 0;
    for (std::size_t k = 0; k < word_bytes; ++k) crc ^= table[word_bytes - 1 - k][(word >> (8 * k)) & 0xffU];
    bytes.remove_prefix(word_bytes);
  }
  for (const char byte : bytes) crc = (crc >> 8U) ^ table[0][(crc ^ static_cast<unsigned char>(byte)) & 0xffU];
  return ~crc;
}

}  // namespace switchyard::events
