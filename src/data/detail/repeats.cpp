#include "data/detail/repeats.hpp"

#include "base/hash.hpp"
#include "base/span.hpp"
#include "data/vocabulary.hpp"

namespace switchyard::data::detail {
namespace {

// Shorter ones (a heading, a brace) make text what it is.
constexpr std::size_t shortest_paragraph_bytes = 40;

bool is_blank(std::string_view line) { return line.find_first_not_of(" \t\r\n") == std::string_view::npos; }

std::string_view without_line_break(std::string_view paragraph) {
  return paragraph.substr(0, paragraph.find_last_not_of("\r\n") + 1);
}

}  // namespace

bool Repeats::add(Seen& seen, std::string_view text) {
  ContentHash hash;
  hash.add(std::as_bytes(Span(text)));
  return seen.insert(hash.digest()).second;
}

std::string Repeats::first_occurrences_in(std::string_view document) {
  std::string kept;
  if (add(documents_, document)) {
    for (std::string_view rest = document; !rest.empty();) {
      std::size_t text_bytes = 0, bytes = 0;
      while (bytes < rest.size()) {
        const std::string_view line = first_line(rest.substr(bytes));
        const bool blank = is_blank(line);
        if (!blank && text_bytes < bytes) break;  // the next paragraph begins
        bytes += line.size();
        if (!blank) text_bytes = bytes;
      }
      const std::string_view text = without_line_break(rest.substr(0, text_bytes));
      if (text.size() < shortest_paragraph_bytes || add(paragraphs_, text)) kept += rest.substr(0, bytes);
      rest.remove_prefix(bytes);
    }
  }
  dropped_bytes_ += std::ssize(document) - std::ssize(kept);
  return kept;
}

}  // namespace switchyard::data::detail
