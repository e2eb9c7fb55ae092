#include "config/word_in_value.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.hpp"
#include "config/messages.hpp"

namespace switchyard::config {

void WordInValue::reject(std::string_view key, std::string_view kind, std::string_view why,
                         std::string_view try_this) const {
  throw ConfigError(fmt::format("{}: {} {} {} {} (column {} of {}); {}", key, kind, position, in_quotes(text),
                                why, text.data() - whole.data() + 1, in_quotes(whole), try_this));
}

std::vector<WordInValue> words_in(std::string_view value) {
  constexpr std::string_view spaces = " \t";
  std::vector<WordInValue> words;
  for (std::size_t start = value.find_first_not_of(spaces); start != value.npos;) {
    const std::size_t end = std::min(value.find_first_of(spaces, start), value.size());
    words.push_back({value.substr(start, end - start), value, words.size() + 1});
    start = value.find_first_not_of(spaces, end);
  }
  return words;
}

}  // namespace switchyard::config
