// A line of JSON text, written member by member.
#pragma once

#include <string>
#include <string_view>

#include "base/ids.hpp"
#include "run/record_sink.hpp"

namespace switchyard::run {

// One object on a line, byte for byte as Json::dump() prints it. Its memory stays from line to line: a line
// that is no longer than one before allocates nothing. Names and texts are ours: they hold nothing that JSON
// escapes.
class JsonLine final : public RecordSink {
 public:
  void begin() override { text_.assign(1, '{'); }
  // Ends the line, with its line break.
  void end() override;
  void name(std::string_view name) override;
  void open_object() override { text_ += '{'; }
  void close_object() override { close('}'); }
  void open_array() override { text_ += '['; }
  void close_array() override { close(']'); }
  // What is not finite, which JSON lacks, is null.
  void add(double value) override;
  void add(index_t value) override;
  void add(std::string_view value) override;
  using RecordSink::add;
  using RecordSink::open_array;
  using RecordSink::open_object;

  const std::string& text() const { return text_; }

 private:
  void close(char bracket);

  std::string text_;  // while it is open, a comma stands behind each value
};

}  // namespace switchyard::run
