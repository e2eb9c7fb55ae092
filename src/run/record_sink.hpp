// Who is told a record of metrics, member by member.
#pragma once

#include <string_view>

#include "base/ids.hpp"

namespace switchyard::run {

// One object, from begin() to end(): members in their order, objects and arrays among them. Names and texts are
// copied if they are kept.
class RecordSink {
 public:
  RecordSink() = default;
  RecordSink(const RecordSink&) = default;
  RecordSink& operator=(const RecordSink&) = default;
  virtual ~RecordSink() = default;

  // Leaves the record before.
  virtual void begin() = 0;
  virtual void end() = 0;
  // Of the member whose value comes next.
  virtual void name(std::string_view name) = 0;
  virtual void open_object() = 0;
  virtual void close_object() = 0;
  virtual void open_array() = 0;
  virtual void close_array() = 0;
  // Values of members, and elements of arrays.
  virtual void add(double value) = 0;
  virtual void add(index_t value) = 0;
  virtual void add(std::string_view value) = 0;

  template <class Value>
  void add(std::string_view of, Value value) {
    name(of);
    add(value);
  }
  void open_object(std::string_view of) {
    name(of);
    open_object();
  }
  void open_array(std::string_view of) {
    name(of);
    open_array();
  }
};

}  // namespace switchyard::run
