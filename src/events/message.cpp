#include "events/message.hpp"

#include <array>
#include <bit>
#include <cstring>

namespace switchyard::events {

static_assert(std::endian::native == std::endian::little, "fixed values are written as they lie in memory");

void Message::add_varint(std::uint64_t value) {
  for (; value >= 0x80U; value >>= 7U) bytes_ += static_cast<char>((value & 0x7fU) | 0x80U);
  bytes_ += static_cast<char>(value);
}

void Message::add_key(int field, Wire wire) {
  add_varint((static_cast<std::uint64_t>(field) << 3U) | static_cast<std::uint64_t>(wire));
}

template <class Value>
void Message::add_fixed(Value value) {
  std::array<char, sizeof(Value)> bytes;
  std::memcpy(bytes.data(), &value, sizeof(Value));
  bytes_.append(bytes.data(), bytes.size());
}

void Message::add_double(int field, double value) {
  add_key(field, Wire::fixed64);
  add_fixed(value);
}

void Message::add_float(int field, float value) {
  add_key(field, Wire::fixed32);
  add_fixed(value);
}

void Message::add_integer(int field, std::int64_t value) {
  add_key(field, Wire::varint);
  add_varint(static_cast<std::uint64_t>(value));
}

void Message::add_bytes(int field, std::string_view value) {
  add_key(field, Wire::length);
  add_varint(value.size());
  bytes_ += value;
}

void Message::add_doubles(int field, Span<const double> values) {
  add_key(field, Wire::length);
  add_varint(values.size() * sizeof(double));
  for (const double value : values) add_fixed(value);
}

}  // namespace switchyard::events
