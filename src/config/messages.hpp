// The parts that error messages about user text share.
#pragma once

#include <string>
#include <string_view>

#include "base/span.hpp"

namespace switchyard::config {

// `text` between single quotes, fit for a terminal: control bytes as \xNN, cut after 80 bytes.
std::string in_quotes(std::string_view text);

// The least number of insertions, deletions and replacements of a byte that turn `a` into `b`.
std::size_t edit_distance(std::string_view a, std::string_view b);

// The candidate with the least edit distance to `word`; the first of several. Empty only without candidates.
std::string_view nearest(std::string_view word, Span<const std::string_view> candidates);

// "auto, cpu or cuda".
std::string one_of(Span<const std::string_view> words);

}  // namespace switchyard::config
