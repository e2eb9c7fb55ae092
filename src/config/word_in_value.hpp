// The words of a value that is several, with spaces between them.
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

namespace switchyard::config {

// One of them and where it stands, for messages.
struct WordInValue {
  std::string_view text;   // "resize:32"
  std::string_view whole;  // the value
  std::size_t position;    // from 1

  // ConfigError "KEY: KIND 2 'resize:0' WHY (column 8 of '...'); TRY THIS". `kind`: what a word is.
  [[noreturn]] void reject(std::string_view key, std::string_view kind, std::string_view why,
                           std::string_view try_this) const;
};

std::vector<WordInValue> words_in(std::string_view value);

}  // namespace switchyard::config
