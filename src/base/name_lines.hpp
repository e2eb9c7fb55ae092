// Names as a text with one on each line, as files keep them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/span.hpp"

namespace switchyard {

// Each with a line break behind it.
std::string lines_of(const std::vector<std::string>& names);
// What lies before each line break.
std::vector<std::string> names_on_lines(std::string_view text);
// A text on one line, which a terminal may show: control characters and what is no UTF-8 become '?'.
std::string printable(std::string_view text);
// What keeps names from telling things apart, as "the name cat twice"; empty: nothing does.
std::string flaw_of(Span<const std::string> names);

}  // namespace switchyard
