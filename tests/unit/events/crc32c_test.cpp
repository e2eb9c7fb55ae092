#include "events/crc32c.hpp"

#include <gtest/gtest.h>

#include <string>

namespace switchyard::events {
namespace {

// Bit by bit, from the polynomial.
std::uint32_t slow_crc32c(const std::string& bytes) {
  std::uint32_t crc = ~0U;
  for (const char byte : bytes) {
    crc ^= static_cast<unsigned char>(byte);
    for (int bit = 0; bit < 8; ++bit) crc = (crc & 1U) != 0 ? (crc >> 1U) ^ 0x82f63b78U : crc >> 1U;
  }
  return ~crc;
}

// RFC 3720, appendix B.4, and the check value of the Rocksoft model.
TEST(Crc32c, has_the_published_values) {
  EXPECT_EQ(crc32c(""), 0U);
  EXPECT_EQ(crc32c("123456789"), 0xe3069283U);
  EXPECT_EQ(crc32c(std::string(32, '\0')), 0x8a9136aaU);
  EXPECT_EQ(crc32c(std::string(32, '\xff')), 0x62a8ab43U);
  std::string counted;
  for (char byte = 0; byte < 32; ++byte) counted += byte;
  EXPECT_EQ(crc32c(counted), 0x46dd794eU);
}

TEST(Crc32c, of_any_length_is_that_of_single_bits) {
  std::string bytes;
  for (int i = 0; i < 50; ++i) {
    EXPECT_EQ(crc32c(bytes), slow_crc32c(bytes)) << i << " bytes";
    bytes += static_cast<char>(37 * i + 11);
  }
}

TEST(Crc32c, is_masked_by_a_turn_and_a_sum) {
  EXPECT_EQ(masked(0), 0xa282ead8U);
  EXPECT_EQ(masked(0x8000U), 0xa282ead9U);
  EXPECT_EQ(masked(1), 0xa284ead8U);
}

}  // namespace
}  // namespace switchyard::events
