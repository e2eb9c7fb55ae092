// A picture in SVG, written element by element.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

namespace switchyard::report {

// A number in a picture: two decimals at most.
std::string coordinate(double value);

struct Attribute {
  Attribute(std::string_view key, std::string_view text) : name(key), value(text) {}
  Attribute(std::string_view key, double number) : name(key), value(coordinate(number)) {}

  std::string_view name;
  std::string value;
};
using Attributes = std::initializer_list<Attribute>;

struct Point {
  double x = 0;
  double y = 0;
};
// M of the first point, L of the others; where a coordinate is no number the line is broken.
std::string path_data(const std::vector<Point>& points);

// Owns the text of one picture; colours and fonts come from the classes of the page's style. Attribute values
// and texts are escaped.
class Svg {
 public:
  // `label` is what a screen reader says.
  Svg(double width, double height, std::string_view label);

  // `tooltip`: what a pointer that rests there shows.
  void element(std::string_view tag, Attributes attributes, std::string_view tooltip = "");
  void text(double x, double y, std::string_view css_class, std::string_view content);
  void line(double x1, double y1, double x2, double y2, std::string_view css_class);
  // The whole picture. The object is used up.
  std::string finish();

 private:
  void start(std::string_view tag, Attributes attributes);
  std::string out_;
};

}  // namespace switchyard::report
