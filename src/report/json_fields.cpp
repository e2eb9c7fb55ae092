#include "report/json_fields.hpp"

#include <fmt/format.h>

#include <limits>

#include "base/error.hpp"
#include "files/regular_file.hpp"

namespace switchyard::report {
namespace {

constexpr double nothing = std::numeric_limits<double>::quiet_NaN();

double as_number(const Json& value) { return value.is_number() ? value.get<double>() : nothing; }

}  // namespace

const Json& member(const Json& object, std::string_view name) {
  static const Json null;
  if (!object.is_object()) return null;
  const auto found = object.find(name);
  return found == object.end() ? null : *found;
}

double number_of(const Json& object, std::string_view name) { return as_number(member(object, name)); }

std::string string_of(const Json& object, std::string_view name) {
  const Json& value = member(object, name);
  return value.is_string() ? value.get<std::string>() : "";
}

std::vector<double> numbers_of(const Json& object, std::string_view name) {
  std::vector<double> numbers;
  const Json& array = member(object, name);
  if (!array.is_array()) return numbers;
  for (const Json& value : array) numbers.push_back(as_number(value));
  return numbers;
}

std::vector<std::string> strings_of(const Json& object, std::string_view name) {
  std::vector<std::string> strings;
  const Json& array = member(object, name);
  if (!array.is_array()) return strings;
  for (const Json& value : array) {
    if (!value.is_string()) return {};
    strings.push_back(value.get<std::string>());
  }
  return strings;
}

std::vector<std::vector<std::int64_t>> counts_of(const Json& object, std::string_view name) {
  const Json& table = member(object, name);
  if (!table.is_array()) return {};
  std::vector<std::vector<std::int64_t>> counts;
  for (const Json& row : table) {
    if (!row.is_array() || row.size() != table[0].size()) return {};
    counts.emplace_back();
    for (const Json& value : row) {
      if (!value.is_number_integer()) return {};
      counts.back().push_back(value.get<std::int64_t>());
    }
  }
  return counts;
}

Json parse_shallow(std::string_view text) {
  constexpr int most_levels = 32;  // records of ours have four
  int level = 0;
  bool in_string = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '"') in_string = !in_string;
    if (c == '\\' && in_string) ++i;
    if (in_string) continue;
    if (c == '[' || c == '{') ++level;
    if (c == ']' || c == '}') --level;
    if (level > most_levels) return Json::value_t::discarded;
  }
  return Json::parse(text, nullptr, /*allow_exceptions=*/false);
}

Json read_object(const std::filesystem::path& path, std::string_view made_by) {
  Json object = parse_shallow(files::read_regular_file(path));
  if (!object.is_object()) {
    throw DataError(fmt::format(
        "'{}' is no JSON object (it was cut off or changed); take it away, or write it again with {}",
        path.string(), made_by));
  }
  return object;
}

}  // namespace switchyard::report
