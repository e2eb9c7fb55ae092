// Horizontal bars: a group per row, a bar per series.
#pragma once

#include <string>
#include <vector>

#include "report/figure.hpp"
#include "report/text.hpp"

namespace switchyard::report {

struct BarSeries {
  std::string name;
  std::vector<double> values;  // per row, not negative
};

struct BarChart {
  std::string title;
  std::string x_label;
  NumberStyle style = NumberStyle::percent;
  std::vector<std::string> row_names;
  std::vector<BarSeries> series;
  std::string note;
};

Figure draw(const BarChart& chart);

}  // namespace switchyard::report
