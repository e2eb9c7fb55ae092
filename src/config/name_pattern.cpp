#include "config/name_pattern.hpp"

#include <fnmatch.h>

#include <algorithm>

namespace switchyard::config {

bool NamePattern::matches(const std::string& name) const {
  return ::fnmatch(text_.c_str(), name.c_str(), FNM_LEADING_DIR) == 0;
}

bool NamePattern::covers(const std::string& group) const {
  // A last * that matches nothing behind the '/' matches everything there.
  return matches(group) || (text_.ends_with('*') && matches(group + "/"));
}

std::vector<NamePattern> parse_name_patterns(std::string_view list) {
  constexpr std::string_view between = ", \t";
  std::vector<NamePattern> patterns;
  if (list == "none") return patterns;
  while (true) {
    list.remove_prefix(std::min(list.find_first_not_of(between), list.size()));
    if (list.empty()) return patterns;
    const std::string_view word = list.substr(0, list.find_first_of(between));
    patterns.emplace_back(word == "all" ? "*" : std::string(word));
    list.remove_prefix(word.size());
  }
}

bool any_matches(Span<const NamePattern> patterns, const std::string& name) {
  return std::ranges::any_of(patterns, [&](const NamePattern& pattern) { return pattern.matches(name); });
}

}  // namespace switchyard::config
