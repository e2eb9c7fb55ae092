#include "report/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>

#include "base/utf8.hpp"

namespace switchyard::report {
namespace {

constexpr std::string_view replacement = "\xEF\xBF\xBD";  // U+FFFD
constexpr std::string_view no_number = "–";

// Bytes of the character that `text` begins with; 0 if it is none, or one that XML forbids: U+FFFE, U+FFFF.
std::size_t character_length(std::string_view text) {
  return text.starts_with("\xEF\xBF\xBE") || text.starts_with("\xEF\xBF\xBF") ? 0 : character_bytes(text);
}

using Entity = std::pair<char, std::string_view>;
constexpr Entity entities[] = {{'&', "&amp;"}, {'<', "&lt;"}, {'>', "&gt;"}, {'"', "&quot;"}, {'\'', "&#39;"}};

// "36527" -> "36,527"
std::string with_thousands(double value) {
  const std::string digits = fmt::format("{:.0f}", std::abs(value));
  std::string out = value < 0 && digits != "0" ? "-" : "";
  for (std::size_t i = 0; i < digits.size(); ++i) {
    if (i > 0 && (digits.size() - i) % 3 == 0) out += ',';
    out += digits[i];
  }
  return out;
}

}  // namespace

std::string escape(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const char c = text.front();
    const std::size_t length = character_length(text);
    const bool control = (static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\t') || c == 0x7F;
    if (const auto entity = std::ranges::find(entities, c, &Entity::first); entity != std::end(entities)) {
      out += entity->second;
    } else if (length == 0 || control) {
      out += replacement;
    } else {
      out += text.substr(0, length);
    }
    text.remove_prefix(std::max<std::size_t>(length, 1));
  }
  return out;
}

std::string link_text(std::string_view path) {
  std::string out;
  for (const char c : path) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       std::string_view("-._~/").find(c) != std::string_view::npos;
    out += plain ? std::string(1, c) : fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return out;
}

std::string number_text(double value, NumberStyle style) {
  if (!std::isfinite(value)) return std::string(no_number);
  if (style == NumberStyle::percent) return fmt::format("{:.2f}%", 100 * value);
  const double size = std::abs(value);
  if (size >= 1e15) return fmt::format("{:.3g}", value);
  if (size >= 1000 || value == std::trunc(value)) return with_thousands(value);
  if (size >= 100) return fmt::format("{:.1f}", value);
  if (size >= 10) return fmt::format("{:.2f}", value);
  if (size >= 1) return fmt::format("{:.3f}", value);
  if (size >= 0.001) return fmt::format("{:.4f}", value);
  return fmt::format("{:.2e}", value);
}

std::string tick_text(double value, double step, NumberStyle style) {
  const double factor = style == NumberStyle::percent ? 100 : 1;
  double shown = value * factor;
  double shown_step = step * factor;
  std::string_view unit = style == NumberStyle::percent ? "%" : "";
  if (shown_step > 0 && std::abs(shown) + shown_step < 1e-4)
    return value == 0 ? "0" : fmt::format("{:.3g}", shown);
  if (style == NumberStyle::plain) {
    constexpr std::array<std::pair<double, std::string_view>, 3> units = {{{1e9, "G"}, {1e6, "M"}, {1e3, "k"}}};
    for (const auto& [size, name] : units) {
      // Below 10,000 the digits themselves are as short.
      if (std::abs(value) < size * (size > 1e3 ? 1 : 10)) continue;
      shown /= size;
      shown_step /= size;
      unit = name;
      break;
    }
  }
  // The smallest number of decimals with which the step is whole: 0.25 needs two.
  int decimals = 0;
  for (double scaled = shown_step; decimals < 6 && std::abs(scaled - std::round(scaled)) > 1e-6 * scaled;
       ++decimals) {
    scaled *= 10;
  }
  std::string text = fmt::format("{:.{}f}", shown, decimals);
  if (text.starts_with('-') && text.find_first_not_of("-0.") == std::string::npos) text.erase(0, 1);
  return text + std::string(unit);
}

std::string data_element(double value, NumberStyle style, std::string_view id) {
  if (!std::isfinite(value)) return std::string(no_number);
  const std::string attribute = id.empty() ? "" : fmt::format(" id=\"{}\"", escape(id));
  return fmt::format("<data{} value=\"{}\">{}</data>", attribute, value, number_text(value, style));
}

std::string difference_text(double difference, NumberStyle style) {
  const bool is_share = style == NumberStyle::percent;
  std::string text = is_share ? fmt::format("{:.2f} pp", 100 * difference) : number_text(difference);
  if (difference == 0) return is_share ? "±0 pp" : "±0";
  return difference > 0 ? "+" + text : text;
}

std::string metric_label(std::string_view metric) {
  constexpr std::pair<std::string_view, std::string_view> known[] = {
      {"h_s", "H_s"}, {"h_s_chosen", "H_s of the chosen"},   {"h_u", "H_u"},
      {"r2", "R²"},   {"mi_predicted", "I(E;Y), predicted"}, {"mi_true", "I(E;Y), true"}};
  for (const auto& [name, label] : known) {
    if (name == metric) return std::string(label);
  }
  std::string label(metric);
  std::ranges::replace(label, '_', ' ');
  return label;
}

NumberStyle style_of(std::string_view metric) {
  const bool is_error = metric == "error" || metric.ends_with(".error");  // and not a squared one
  const bool is_share = is_error || metric.ends_with("share") || metric == "dropped";
  return is_share ? NumberStyle::percent : NumberStyle::plain;
}

}  // namespace switchyard::report
