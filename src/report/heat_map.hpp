// A table of counts in colours.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "report/figure.hpp"

namespace switchyard::report {

struct HeatMap {
  std::string title;
  std::string row_label;  // "true class"
  std::string column_label;
  std::vector<std::vector<std::int64_t>> counts;  // [rows][columns], all rows of one length
  std::string note;
};

// Rows and columns are numbered from 0. A cell's colour is its share of its row, from none to the largest share
// of the map: a row that is one dark cell is a class that one expert took. The count is written in the cell
// where it fits, and is in the tooltip anyway.
Figure draw(const HeatMap& map);

}  // namespace switchyard::report
