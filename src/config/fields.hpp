// The field tables: one per struct of config.hpp, and the only place that lists keys.
//
// Parsing, printing, range checks, options, help and the documentation walk these tables; none of them knows a
// key.
#pragma once

#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "config/config.hpp"

namespace switchyard::config {

// How a field of each type is read and written in a whole Config, and which values it may hold. All five types
// are plain constants; the accessors come from the pointers to members in fields.cpp.

struct Integer {
  std::int64_t (*get)(const Config&);
  void (*set)(Config&, std::int64_t);  // expects a value in [min, max]
  std::int64_t min;
  std::int64_t max;
  std::string_view automatic = {};  // the word for automatic_count, if the field may hold that
};

// Finite numbers from min to max, the ends included unless marked.
struct Range {
  double min = -std::numeric_limits<double>::infinity();
  double max = std::numeric_limits<double>::infinity();
  bool min_excluded = false;
  bool max_excluded = false;

  bool contains(double value) const;
};

struct Number {
  double (*get)(const Config&);
  void (*set)(Config&, double);
  Range range;
};

// One number or more, with a space between.
struct Numbers {
  const std::vector<double>& (*get)(const Config&);
  void (*set)(Config&, std::vector<double>);  // expects one at least
  Range range;                                // of each
};

struct Text {
  const std::string& (*get)(const Config&);
  void (*set)(Config&, std::string);
};

struct Choice {
  std::span<const std::string_view> names;
  std::size_t (*get)(const Config&);  // index into names
  void (*set)(Config&, std::size_t);
};

// What must have one value: all ranks of a run, or each rank alone (where it runs, where its copy of the data
// lies; of the data's content the ranks compare a digest).
enum class Scope { run, rank };

struct Field {
  std::string_view section;
  std::string_view key;
  std::variant<Integer, Number, Numbers, Text, Choice> type;
  std::string_view help;  // one line
  std::string_view unit = {};
  Scope scope = Scope::run;

  std::string name() const;  // "section.key", as on the command line
};

struct Section {
  std::string_view name;
  std::string_view help;
  std::span<const Field> fields;
};

// In the order of config.hpp, which is the order of every listing.
std::span<const Section> sections();

}  // namespace switchyard::config
