// A line of JSON text, written member by member.
#pragma once

#include <string>
#include <string_view>

#include "base/ids.hpp"

namespace switchyard::run {

// One object on a line, byte for byte as Json::dump() prints it. Its memory stays from line to line: a line
// that is no longer than one before allocates nothing.
class JsonLine {
 public:
  // Leaves the line before: an object without members.
  void begin() { text_.assign(1, '{'); }
  // An object or an array as a member, until close().
  void open_object(std::string_view name) { open(name, '{'); }
  void open_array(std::string_view name) { open(name, '['); }
  // An object as an element of an array.
  void open_object() { text_ += '{'; }
  void close_object() { close('}'); }
  void close_array() { close(']'); }
  // Ends the line, with its line break.
  void end();

  // A member of the object. Names and texts are ours: they hold nothing that JSON escapes.
  template <class Value>
  void add(std::string_view name, Value value) {
    append_name(name);
    add(value);
  }
  // An element of the array. What is not finite, which JSON lacks, is null.
  void add(double value);
  void add(index_t value);
  void add(std::string_view value);

  const std::string& text() const { return text_; }

 private:
  void append_name(std::string_view name);
  void open(std::string_view name, char bracket);
  void close(char bracket);

  std::string text_;  // while it is open, a comma stands behind each value
};

}  // namespace switchyard::run
