// Values of keys that name things by patterns, as a shell names files.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/span.hpp"

namespace switchyard::config {

// *, ? and [abc] stand for any characters, one, one of these; '/' is a character as any other.
class NamePattern {
 public:
  explicit NamePattern(std::string text) : text_(std::move(text)) {}

  const std::string& text() const { return text_; }
  // The name or a whole leading part of it: gate and gat? match "gate/dense_1/weight", gat does not.
  bool matches(const std::string& name) const;
  // Every name that begins with `group` and '/', whatever follows.
  bool covers(const std::string& group) const;

 private:
  std::string text_;
};

// "gate, experts/000?": patterns with commas or spaces between. The word `all` is *, `none` alone no pattern.
std::vector<NamePattern> parse_name_patterns(std::string_view list);

bool any_matches(Span<const NamePattern> patterns, const std::string& name);

}  // namespace switchyard::config
