#include "events/message.hpp"

#include <gtest/gtest.h>

#include <array>
#include <string>
#include <string_view>

namespace switchyard::events {
namespace {

using namespace std::string_view_literals;

// The examples of the encoding's own documentation, and the ends of what varints hold.
TEST(Message, is_what_protocol_buffers_say) {
  Message message;
  message.add_integer(1, 150);
  EXPECT_EQ(message.bytes(), "\x08\x96\x01"sv);
  message.clear();
  message.add_bytes(2, "testing");
  EXPECT_EQ(message.bytes(), "\x12\x07testing"sv);
  Message inner;
  inner.add_integer(1, 150);
  message.clear();
  message.add_message(3, inner);
  EXPECT_EQ(message.bytes(), "\x1a\x03\x08\x96\x01"sv);
}

TEST(Message, holds_numbers_of_every_kind) {
  Message message;
  message.add_integer(1, 0);
  message.add_integer(1, 127);
  message.add_integer(16, 128);
  EXPECT_EQ(message.bytes(), "\x08\0\x08\x7f\x80\x01\x80\x01"sv);
  message.clear();
  message.add_integer(2, -1);
  EXPECT_EQ(message.bytes(), "\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"sv);
  message.clear();
  message.add_double(1, 1.0);
  message.add_float(2, -2.0F);
  EXPECT_EQ(message.bytes(), "\x09\0\0\0\0\0\0\xf0\x3f\x15\0\0\0\xc0"sv);
  message.clear();
  message.add_doubles(7, std::array{1.0, 2.0});
  EXPECT_EQ(message.bytes(), "\x3a\x10\0\0\0\0\0\0\xf0\x3f\0\0\0\0\0\0\0\x40"sv);
}

TEST(Message, of_a_long_text_says_its_length_in_several_bytes) {
  Message message;
  message.add_bytes(1, std::string(300, 'x'));
  EXPECT_EQ(message.bytes().substr(0, 3), "\x0a\xac\x02"sv);
  EXPECT_EQ(message.bytes().size(), 303U);
}

}  // namespace
}  // namespace switchyard::events
