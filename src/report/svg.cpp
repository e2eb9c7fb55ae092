#include "report/svg.hpp"

#include <fmt/format.h>

#include <cmath>
#include <utility>

#include "report/text.hpp"

namespace switchyard::report {

std::string coordinate(double value) {
  if (!std::isfinite(value)) return "0";
  std::string text = fmt::format("{:.2f}", value);
  text.erase(text.find_last_not_of('0') + 1);
  if (text.ends_with('.')) text.pop_back();
  return text == "-0" ? "0" : text;
}

std::string path_data(const std::vector<Point>& points) {
  std::string out;
  bool drawing = false;
  for (const Point& point : points) {
    const bool known = std::isfinite(point.x) && std::isfinite(point.y);
    if (known) out += fmt::format("{}{} {}", drawing ? 'L' : 'M', coordinate(point.x), coordinate(point.y));
    drawing = known;
  }
  return out;
}

Svg::Svg(double width, double height, std::string_view label) {
  out_ =
      fmt::format(R"(<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {} {}" role="img" aria-label="{}">)",
                  coordinate(width), coordinate(height), escape(label));
}

void Svg::start(std::string_view tag, Attributes attributes) {
  out_ += fmt::format("<{}", tag);
  for (const Attribute& attribute : attributes) {
    out_ += fmt::format(" {}=\"{}\"", attribute.name, escape(attribute.value));
  }
}

void Svg::element(std::string_view tag, Attributes attributes, std::string_view tooltip) {
  start(tag, attributes);
  out_ += tooltip.empty() ? "/>" : fmt::format("><title>{}</title></{}>", escape(tooltip), tag);
}

void Svg::text(double x, double y, std::string_view css_class, std::string_view content) {
  start("text", {{"x", x}, {"y", y}, {"class", css_class}});
  out_ += fmt::format(">{}</text>", escape(content));
}

void Svg::line(double x1, double y1, double x2, double y2, std::string_view css_class) {
  element("line", {{"x1", x1}, {"y1", y1}, {"x2", x2}, {"y2", y2}, {"class", css_class}});
}

std::string Svg::finish() { return std::exchange(out_, "") + "</svg>"; }

}  // namespace switchyard::report
