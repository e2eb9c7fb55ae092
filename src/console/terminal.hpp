// What a user reads on standard output, apart from the progress line (progress_line.hpp) and the result
// (result_text.hpp). Functions from data to text; only detect_terminal() looks at the machine.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/ids.hpp"
#include "moe/statistics.hpp"

namespace switchyard::console {

// How wide and in which characters to print.
struct TextStyle {
  index_t columns = 100;
  bool utf8 = false;  // else ASCII only
};

struct Terminal {
  bool live = false;  // a person is watching: the progress line may be overwritten
  TextStyle style;
};
// Of a file descriptor (1: standard output) and the environment. `live` also wants a width: mpirun gives every
// rank a pseudo-terminal even if its own output goes to a file, but that one has 0 columns.
Terminal detect_terminal(int descriptor);
// POSIX order: LC_ALL, then LC_CTYPE, then LANG; the first that is set and not empty counts. Null: not set.
bool is_utf8_locale(const char* lc_all, const char* lc_ctype, const char* lang);

// 24310 as "24,310".
std::string grouped(index_t number);
// "45s", "2m 10s", "3h 5m", "2d 4h"; "?" for what is no time.
std::string duration_text(double seconds);
// At most one decimal below 100, whole and grouped above: "9.5", "24,310".
std::string rate_text(double per_second);
// Cuts at spaces into lines of at most `columns`; a longer word gets a line for itself. Keeps the line breaks
// of `text`.
std::vector<std::string> wrap(std::string_view text, index_t columns);

// Columns that UTF-8 text takes: one per code point, which holds for the characters that we print.
std::size_t width_of(std::string_view text);
// A name from outside, a file's say, in at most `columns`: longer ones end in an ellipsis, and what a terminal
// would take for a command, or has no character for, is '?'.
std::string name_cell(std::string_view name, std::size_t columns, const TextStyle& style);
std::string right_aligned(std::string_view text, std::size_t columns);

// What was decided at start: groups (data, model, layout, ...) of aligned keys and values, then warnings.
struct Section {
  std::string title;
  std::vector<std::pair<std::string, std::string>> rows;  // key, value; a value may have several lines
};
struct StartTable {
  std::vector<Section> sections;
  std::vector<std::string> warnings;
};
std::string start_table(const StartTable& table, const TextStyle& style);

// "epoch 3: validation error 0.1134, loss 0.3175, H_s 0.21, H_u 2.19, I(E;Y) 1.93 bits, largest expert 35%,
// dead none", where Y is the predicted class; of a model of several mixture layers each of them. No line break.
std::string evaluation_line(std::string_view when, std::string_view split, const moe::Statistics& statistics);
// "none", "3", "3, 7", "12 of 64" (from six on).
std::string dead_experts_text(const moe::RoutingStatistics& statistics);

}  // namespace switchyard::console
