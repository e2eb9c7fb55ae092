// Messages of Protocol Buffers, as bytes.
//
// events: the event files that TensorBoard reads: messages, their frames, pictures. Nothing here knows what the
// numbers mean.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/span.hpp"

namespace switchyard::events {

// A message that is written field by field, in any order of fields. Its memory stays: clear() and a message no
// longer than one before allocate nothing.
class Message {
 public:
  void clear() { bytes_.clear(); }
  // double, float; int64, int32 and enumerations; string and bytes.
  void add_double(int field, double value);
  void add_float(int field, float value);
  void add_integer(int field, std::int64_t value);
  void add_bytes(int field, std::string_view value);
  void add_message(int field, const Message& message) { add_bytes(field, message.bytes_); }
  // repeated double, packed.
  void add_doubles(int field, Span<const double> values);

  std::string_view bytes() const { return bytes_; }

 private:
  // How the value behind a key is read.
  enum class Wire : std::uint8_t { varint = 0, fixed64 = 1, length = 2, fixed32 = 5 };
  void add_key(int field, Wire wire);
  void add_varint(std::uint64_t value);
  template <class Value>
  void add_fixed(Value value);

  std::string bytes_;
};

}  // namespace switchyard::events
