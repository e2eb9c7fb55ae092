// Parts of a whole over steps or epochs: as areas between neighbouring rows, or as one bar per row.
#pragma once

#include <string>
#include <vector>

#include "report/figure.hpp"
#include "report/text.hpp"

namespace switchyard::report {

struct StackedRow {
  double x = 0;
  std::vector<double> parts;  // as many as there are names
  double first = 0;           // bars go from here to `last`, both included
  double last = 0;
};

enum class StackForm { area, bars };

struct StackedChart {
  std::string title;
  std::string x_label;
  std::string y_label;
  NumberStyle y_style = NumberStyle::plain;
  StackForm form = StackForm::area;
  std::vector<std::string> names;  // the first lies at the bottom
  std::vector<StackedRow> rows;    // in the order of x
  bool whole_is_one = false;       // shares: the axis ends at 1
  std::string note;
};

// Without rows: a figure that says so.
Figure draw(const StackedChart& chart);

}  // namespace switchyard::report
