// Curves over steps or epochs.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "report/figure.hpp"
#include "report/frame.hpp"
#include "report/svg.hpp"

namespace switchyard::report {

enum class Stroke { solid, dashed, dotted };

struct Band {
  double x = 0;
  double low = 0;
  double high = 0;
};

struct Curve {
  std::string name;
  std::vector<Point> points;  // a y that is no number leaves a gap
  std::size_t colour = 0;
  Stroke stroke = Stroke::solid;
  bool dots = false;  // at every point, with its value as a tooltip
  std::vector<Band> band;
};

// A value from elsewhere, drawn over the curves.
struct Mark {
  Point at;
  std::optional<double> deviation;
};

struct ReferenceLine {
  double value = 0;
  std::string label;
};

struct Range {
  double low = 0;
  double high = 0;
};

struct LineChart {
  std::string title;
  std::string x_label;
  std::string y_label;
  NumberStyle y_style = NumberStyle::plain;
  std::vector<Curve> curves;
  std::string mark_name;
  std::vector<Mark> marks;
  std::optional<ReferenceLine> reference;
  std::optional<Range> y_range;  // unset: from 0 (or the smallest value, if negative) to the largest
  std::string note;
  FigureWidth width = FigureWidth::half;
};

// The y values that the chart has to show.
Range value_range(const LineChart& chart);

// Without any point: a figure that says so.
Figure draw(const LineChart& chart);

}  // namespace switchyard::report
