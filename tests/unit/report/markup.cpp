#include "unit/report/markup.hpp"

#include <algorithm>
#include <cctype>
#include <set>

namespace switchyard::test {
namespace {

bool is_escaped(std::string_view text) {
  if (text.find('<') != std::string_view::npos) return false;
  for (std::size_t at = text.find('&'); at != std::string_view::npos; at = text.find('&', at + 1)) {
    const std::string_view rest = text.substr(at + 1);
    const auto is = [&](std::string_view entity) { return rest.starts_with(entity); };
    if (!is("amp;") && !is("lt;") && !is("gt;") && !is("quot;") && !is("#39;")) return false;
  }
  return true;
}

// Takes a name off the front; empty if there is none.
std::string take_name(std::string_view& text) {
  const auto belongs = [](unsigned char c) { return std::isalnum(c) != 0 || c == ':' || c == '-'; };
  if (text.empty() || std::isalpha(static_cast<unsigned char>(text.front())) == 0) return "";
  const auto end = static_cast<std::size_t>(std::ranges::find_if_not(text, belongs) - text.begin());
  std::string name(text.substr(0, end));
  text.remove_prefix(end);
  return name;
}

// ` name="value"` again and again.
std::string check_attributes(std::string_view text) {
  std::set<std::string> names;
  while (!text.empty()) {
    if (text.front() != ' ') return "no space before an attribute: " + std::string(text);
    text.remove_prefix(1);
    const std::string name = take_name(text);
    if (name.empty() || !text.starts_with("=\"")) return "no attribute: " + name + std::string(text);
    const std::size_t end = text.find('"', 2);
    if (end == std::string_view::npos) return "an attribute does not end: " + name;
    if (!is_escaped(text.substr(2, end - 2))) return "attribute is not escaped: " + name;
    if (!names.insert(name).second) return "attribute twice: " + name;
    text.remove_prefix(end + 1);
  }
  return "";
}

}  // namespace

std::string why_malformed(std::string_view xml) {
  std::vector<std::string> open;
  bool had_root = false;
  std::size_t at = 0;
  while (at < xml.size()) {
    if (xml[at] != '<') {
      const std::size_t end = std::min(xml.find('<', at), xml.size());
      const std::string text(xml.substr(at, end - at));
      if (open.empty()) return "text outside the root: " + text;
      if (!is_escaped(text)) return "text is not escaped: " + text;
      at = end;
      continue;
    }
    const std::size_t end = xml.find('>', at);
    if (end == std::string_view::npos) return "a tag does not end";
    const std::string tag(xml.substr(at + 1, end - at - 1));
    at = end + 1;
    if (tag.starts_with('/')) {
      if (open.empty() || open.back() != tag.substr(1)) return "closes what is not open: " + tag;
      open.pop_back();
      continue;
    }
    const bool is_empty = tag.ends_with('/');
    std::string_view rest = std::string_view(tag).substr(0, tag.size() - (is_empty ? 1 : 0));
    const std::string name = take_name(rest);
    if (name.empty()) return "no tag: " + tag;
    if (open.empty() && had_root) return "a second root: " + tag;
    had_root = true;
    if (std::string why = check_attributes(rest); !why.empty()) return why;
    if (!is_empty) open.push_back(name);
  }
  if (!open.empty()) return "not closed: " + open.back();
  return had_root ? "" : "there is no element";
}

std::vector<std::string> pictures(std::string_view page) {
  constexpr std::string_view end_tag = "</svg>";
  std::vector<std::string> found;
  for (std::size_t at = page.find("<svg"); at != std::string_view::npos; at = page.find("<svg", at + 1)) {
    const std::size_t end = page.find(end_tag, at);
    if (end == std::string_view::npos) return found;
    found.emplace_back(page.substr(at, end + end_tag.size() - at));
  }
  return found;
}

std::size_t count_of(std::string_view text, std::string_view part) {
  std::size_t count = 0;
  for (std::size_t at = text.find(part); at != std::string_view::npos; at = text.find(part, at + part.size()))
    ++count;
  return count;
}

}  // namespace switchyard::test
