// One key of a configuration: how it is read, written, checked and explained, and what it is for.
//
// config: the engine of options. A room that reads options declares a plain struct and one table of its fields
// (config/field_table.hpp); parsing, printing, range checks, options, help and documentation walk the tables
// (config/schema.hpp). The engine lists no key. No I/O here but of text.
#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/span.hpp"

namespace switchyard::config {

// Of a count that follows from other things where nobody sets it; "auto" in a file.
inline constexpr std::int64_t automatic_count = -1;

// How a field of each type is read and written in its struct, and which values it may hold. `object` points to
// that struct. All are plain constants; the accessors come from the pointers to members in a FieldTable.

struct Integer {
  std::int64_t (*get)(const void* object);
  void (*set)(void* object, std::int64_t);  // expects a value in [min, max]
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
inline constexpr Range above_zero{.min = 0, .min_excluded = true};
inline constexpr Range not_negative{.min = 0};

struct Number {
  double (*get)(const void* object);
  void (*set)(void* object, double);
  Range range;
};

// One number or more, with a space between.
struct Numbers {
  const std::vector<double>& (*get)(const void* object);
  void (*set)(void* object, std::vector<double>);  // expects one at least
  Range range;                                     // of each
};

struct Text {
  const std::string& (*get)(const void* object);
  void (*set)(void* object, std::string);
};

// Any number of words with spaces between.
struct Words {
  const std::vector<std::string>& (*get)(const void* object);
  void (*set)(void* object, std::vector<std::string>);
};

struct Choice {
  Span<const std::string_view> names;
  std::size_t (*get)(const void* object);  // index into names
  void (*set)(void* object, std::size_t);
};

// What a field is for. Who may change it in a run that exists follows from this alone:
//
//                                            resume  eval  another run of a study's arm in the same folder
enum class Role {
  run,         // which run it is: its folder    no      no    (the study names it)
  seed,        // ... and its seed               no      no    (the study names it)
  identity,    // which weights the model has    no      no    no
  arithmetic,  // what is computed with them     no      no    no
  training,    // what training alone reads      no      unused no
  source,      // where a copy of the data lies  yes     yes   no: the content is compared by its digest
  placement,   // where it runs, on what         yes     yes   yes
  length,      // how far the run goes           yes     no    no
  output,      // what is written, and when      yes     no    yes
};

// What must have one value: all ranks of a run, or each rank alone (where it runs, where its copy of the data
// lies; of the data's content the ranks compare a digest).
enum class Scope { run, rank };

struct Field {
  std::string_view key;
  Role role;
  std::variant<Integer, Number, Numbers, Text, Words, Choice> type;
  std::string_view help;  // one line
  std::string_view unit = {};
  Scope scope = Scope::run;
  bool free_in_evaluation = false;  // may be asked otherwise of a trained model, whatever its role
  std::string_view headline = {};   // its word in the headline of a report, which shows it; empty: it does not
};

}  // namespace switchyard::config
