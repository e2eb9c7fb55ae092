// A picture with what belongs to it: title, legend, note.
#pragma once

#include <string>
#include <vector>

namespace switchyard::report {

inline constexpr int colour_count = 8;  // of the palette in style.cpp; more series repeat them
// "c3": the class that sets an element's colour.
std::string colour_class(std::size_t series);

enum class Stroke { solid, dashed, dotted };
// "curve dashed c3".
std::string curve_class(Stroke stroke, std::size_t series);

enum class KeyShape { curve, area, dot, diamond };
struct LegendEntry {
  std::string name;
  std::size_t colour = 0;
  KeyShape shape = KeyShape::curve;
  Stroke stroke = Stroke::solid;  // of a curve
};

// The picture of an entry.
std::string legend_key(const LegendEntry& entry);

enum class FigureWidth {
  half,   // two beside each other on a wide screen
  whole,  // a row for itself; scrolls sideways on a narrow one
  small,  // three beside each other
};
struct Figure {
  std::string title;
  std::vector<LegendEntry> legend;
  std::string svg;   // empty: there is nothing to show, and `note` says why
  std::string note;  // HTML
  FigureWidth width = FigureWidth::half;
};

// <figure>...</figure>. Legends are HTML, not SVG, so that they wrap on a narrow screen.
std::string figure_html(const Figure& figure);
// Several, beside each other where there is room. Those without a picture are named below, with their note.
std::string figure_grid(const std::vector<Figure>& figures);

}  // namespace switchyard::report
