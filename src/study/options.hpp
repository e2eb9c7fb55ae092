// What a study file's [study] says: a plain struct and its field table, the only place that lists the keys.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace switchyard::study {

struct Options {
  std::string dir;  // the study's folder
  std::int64_t seeds = 10;
  std::int64_t first_seed = 1;
  std::int64_t ranks_per_run = 1;
  std::int64_t selection_seeds = 3;
  std::int64_t selection_epochs = 0;
  std::string select_by = "validation.error";
  std::vector<std::string> arms;  // empty: all
  std::vector<std::string> metrics = {"test.error"};
  std::string baseline;
  bool keep_checkpoints = false;
  std::string published;
  bool quick = false;
};

// How a key of each type is held. Unlike the run's fields (config/fields.hpp), which belong to one Config, a
// pointer to a member is enough here.
struct Whole {
  std::int64_t Options::*member;
  std::int64_t min;
  std::int64_t max;
};
struct Text {
  std::string Options::*member;
};
struct Words {  // separated by spaces
  std::vector<std::string> Options::*member;
};
struct YesNo {
  bool Options::*member;
};

struct Field {
  std::string_view key;
  std::variant<Whole, Text, Words, YesNo> type;
  std::string_view help;
};
std::span<const Field> fields();

// "study.dir" and so on, in table order.
std::vector<std::string> known_keys();
// The field called `name` ("study.dir"); ConfigError with the nearest known name if there is none.
const Field& find_field(std::string_view name, std::string_view where);
// Sets the field called `name` from text; ConfigError with name, value, allowed values and `where`.
void set(Options& options, std::string_view name, std::string_view text, std::string_view where);
// "whole number from 1 to 1000".
std::string describe_values(const Field& field);
// Of a study that sets nothing.
std::string describe_default(const Field& field);

// The words of a text, at white space.
std::vector<std::string> words_of(std::string_view text);

}  // namespace switchyard::study
