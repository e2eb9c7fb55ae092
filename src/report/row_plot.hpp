// Arms below each other on one axis: how their runs spread, and how far apart arms are.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "report/figure.hpp"
#include "report/text.hpp"

namespace switchyard::report {

struct BoxRow {
  std::string name;
  std::vector<double> values;  // one per run; none: the row stays empty
  std::vector<std::string> value_names;
  std::optional<double> published;
};

struct BoxPlot {
  std::string title;
  std::string x_label;
  NumberStyle style = NumberStyle::plain;
  std::vector<BoxRow> rows;
};

// Boxes from the lower to the upper quartile with the median, whiskers, and every run as a point.
Figure draw(const BoxPlot& plot);

struct ForestRow {
  std::string name;
  double mean = 0;
  double low = 0;
  double high = 0;
};

struct ForestPlot {
  std::string title;
  std::string x_label;
  NumberStyle style = NumberStyle::plain;
  std::vector<ForestRow> rows;
  std::string note;
};

// Means with their confidence intervals and a line at zero.
Figure draw(const ForestPlot& plot);

}  // namespace switchyard::report
