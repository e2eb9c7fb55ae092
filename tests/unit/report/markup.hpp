// Looks at the pages and pictures that a report writes.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace switchyard::test {

// Why a text is no well-formed XML element (tags that nest, attributes in quotes and once each, escaped text);
// empty if it is one. Shares nothing with the code that writes.
std::string why_malformed(std::string_view xml);

// Every <svg ...>...</svg> of a page.
std::vector<std::string> pictures(std::string_view page);

// How often `part` occurs.
std::size_t count_of(std::string_view text, std::string_view part);

}  // namespace switchyard::test
