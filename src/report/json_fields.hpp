// Reading JSON that may lack a member or hold an older or newer one: what is missing is NaN or empty.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace switchyard::report {

using Json = nlohmann::ordered_json;

// Null if `object` is no object or lacks the member.
const Json& member(const Json& object, std::string_view name);
double number_of(const Json& object, std::string_view name);  // null, a text, nothing: NaN
std::string string_of(const Json& object, std::string_view name);
std::vector<double> numbers_of(const Json& object, std::string_view name);
// Empty unless all are texts.
std::vector<std::string> strings_of(const Json& object, std::string_view name);
// [rows][columns]; empty unless all rows are as long as the first and hold counts.
std::vector<std::vector<std::int64_t>> counts_of(const Json& object, std::string_view name);

// What the text says; what is no JSON, or nested deeper than anything that we write, is discarded: copies and
// texts of deep values would use up the stack.
Json parse_shallow(std::string_view text);

// A file that holds one object. DataError if it does not; `made_by` is the command that writes it again.
Json read_object(const std::filesystem::path& path, std::string_view made_by);

}  // namespace switchyard::report
