// Lines of a stream, without the streams' habit of taking a lack of memory for the end.
#pragma once

#include <istream>
#include <new>
#include <string>

namespace switchyard {

// std::getline, but what memory refuses is thrown. False at the end, and where reading failed: lines.bad().
inline bool next_line(std::istream& lines, std::string& line) {
  // Streams keep what is thrown while they read, std::bad_alloc too, and only go bad: from now on this one
  // throws it. A read that fails then throws std::ios_base::failure.
  lines.exceptions(std::ios::badbit);
  try {
    return static_cast<bool>(std::getline(lines, line));
  } catch (const std::ios_base::failure&) {
    return false;
  }
}

}  // namespace switchyard
