#include "base/philox.hpp"

#include <gtest/gtest.h>

namespace switchyard {
namespace {

// The three known answers of the authors' distribution (Random123, kat_vectors, philox4x32 10 rounds).
TEST(Philox, gives_the_published_known_answers) {
  const Philox zeros = Philox::block(0, 0, 0, 0, 0, 0);
  EXPECT_EQ(zeros.word[0], 0x6627e8d5u);
  EXPECT_EQ(zeros.word[1], 0xe169c58du);
  EXPECT_EQ(zeros.word[2], 0xbc57ac4cu);
  EXPECT_EQ(zeros.word[3], 0x9b00dbd8u);
  const std::uint32_t f = 0xffffffffu;
  const Philox ones = Philox::block(f, f, f, f, f, f);
  EXPECT_EQ(ones.word[0], 0x408f276du);
  EXPECT_EQ(ones.word[1], 0x41c83b0eu);
  EXPECT_EQ(ones.word[2], 0xa20bc7c6u);
  EXPECT_EQ(ones.word[3], 0x6d5451fdu);
  const Philox pi = Philox::block(0xa4093822u, 0x299f31d0u, 0x243f6a88u, 0x85a308d3u, 0x13198a2eu, 0x03707344u);
  EXPECT_EQ(pi.word[0], 0xd16cfe09u);
  EXPECT_EQ(pi.word[1], 0x94fdccebu);
}

}  // namespace
}  // namespace switchyard
