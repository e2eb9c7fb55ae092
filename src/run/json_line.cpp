#include "run/json_line.hpp"

#include <fmt/format.h>

#include <array>
#include <cmath>
#include <nlohmann/json.hpp>

namespace switchyard::run {

void JsonLine::end() {
  close('}');
  text_.back() = '\n';
}

void JsonLine::add(double value) {
  if (std::isfinite(value)) {
    // The function behind dump(). Its digits (Loitsch's Grisu2) are not the shortest for 1 number in 1,000,
    // those of std::to_chars are: lines of two builds of a run would differ.
    std::array<char, 64> digits;  // as many as dump() gives it
    text_.append(digits.data(),
                 nlohmann::detail::to_chars(digits.data(), digits.data() + digits.size(), value));
  } else {
    text_ += "null";
  }
  text_ += ',';
}

void JsonLine::add(index_t value) {
  const fmt::format_int digits(value);
  text_.append(digits.data(), digits.size());
  text_ += ',';
}

void JsonLine::add(std::string_view value) {
  text_ += '"';
  text_ += value;
  text_ += "\",";
}

void JsonLine::name(std::string_view name) {
  text_ += '"';
  text_ += name;
  text_ += "\":";
}

void JsonLine::close(char bracket) {
  if (text_.back() == ',') text_.pop_back();  // nothing stands behind a bracket that has just opened
  text_ += bracket;
  text_ += ',';
}

}  // namespace switchyard::run
