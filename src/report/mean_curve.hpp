// One curve of several runs.
#pragma once

#include <string>
#include <vector>

#include "report/line_chart.hpp"

namespace switchyard::report {

// The mean of the runs at up to 200 places from the first x to the last, with a band from the smallest to the
// largest. Each run is a line between its points, and counts only where it has any: behind the end of a run
// that stopped early, the others go on. Points are in the order of x.
Curve mean_curve(const std::vector<std::vector<Point>>& runs, std::string name, std::size_t colour);

}  // namespace switchyard::report
