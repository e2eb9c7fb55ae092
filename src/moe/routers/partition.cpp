#include "moe/routers/partition.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "base/error.hpp"
#include "config/messages.hpp"

namespace switchyard::moe {
namespace {

constexpr std::string_view spaces = " \t";

[[noreturn]] void reject(std::string_view text, std::string_view why, std::string_view try_this) {
  throw ConfigError(fmt::format("moe.partition = {} {}; {}", config::in_quotes(text), why, try_this));
}

std::vector<std::int32_t> parse_group(std::string_view group, std::string_view text) {
  std::vector<std::int32_t> labels;
  for (std::size_t start = group.find_first_not_of(spaces); start != group.npos;) {
    const std::size_t end = std::min(group.find_first_of(spaces, start), group.size());
    const std::string_view word = group.substr(start, end - start);
    std::int32_t label = 0;
    const auto [stopped, error] = std::from_chars(word.data(), word.data() + word.size(), label);
    if (error != std::errc() || stopped != word.data() + word.size() || label < 0) {
      reject(text, fmt::format("has {} for a label", config::in_quotes(word)),
             "labels are whole numbers from 0");
    }
    labels.push_back(label);
    start = group.find_first_not_of(spaces, end);
  }
  return labels;
}

}  // namespace

std::vector<std::vector<std::int32_t>> parse_partition(std::string_view text, std::int64_t experts) {
  std::vector<std::vector<std::int32_t>> groups;
  std::vector<std::int32_t> seen;
  for (std::size_t start = 0; start <= text.size();) {
    const std::size_t end = std::min(text.find('|', start), text.size());
    groups.push_back(parse_group(text.substr(start, end - start), text));
    if (groups.back().empty()) {
      reject(text, fmt::format("gives expert {} no label", groups.size() - 1),
             "write the labels of every expert, such as: 0 7 | 1 9");
    }
    seen.insert(seen.end(), groups.back().begin(), groups.back().end());
    start = end + 1;
  }
  std::ranges::sort(seen);
  const auto twice = std::ranges::adjacent_find(seen);
  if (twice != seen.end()) {
    reject(text, fmt::format("gives label {} twice (a label has one expert)", *twice), "remove one of them");
  }
  if (static_cast<std::int64_t>(groups.size()) != experts) {
    reject(text, fmt::format("has {} groups for moe.experts = {}", groups.size(), experts),
           "write one group for each expert, with | between");
  }
  return groups;
}

}  // namespace switchyard::moe
