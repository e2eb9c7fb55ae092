// Where characters of UTF-8 (RFC 3629) begin and end.
#pragma once

#include <cstddef>
#include <string_view>

namespace switchyard {

// How many bytes the character takes with which `text`, which is not empty, begins; 0: it is none. Overlong
// forms and surrogates are none.
std::size_t character_bytes(std::string_view text);

// How many bytes at the end of `text` are the beginning of a character, which further ones may make whole: 0 to
// 3.
std::size_t unfinished_bytes(std::string_view text);

}  // namespace switchyard
