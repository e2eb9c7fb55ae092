// Names as a text with one on each line, as files keep them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace switchyard {

// Each with a line break behind it.
std::string lines_of(const std::vector<std::string>& names);
// What lies before each line break.
std::vector<std::string> names_on_lines(std::string_view text);
// A name that is one line, which a terminal may show: control characters become '?'.
std::string printable(std::string name);

}  // namespace switchyard
