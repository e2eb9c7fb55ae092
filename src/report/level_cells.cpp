#include "report/level_cells.hpp"

#include <fmt/format.h>

#include <cmath>

namespace switchyard::report {

LevelCells::LevelCells(double width, double height)
    : shape_(fmt::format("h{0}v{1}h-{0}z", coordinate(width), coordinate(height))) {}

void LevelCells::add(double x, double y, double strength) {
  if (!std::isfinite(strength) || !(strength > 0)) return;  // null in a record is no number
  const auto level = static_cast<std::size_t>(std::lround(strength * strengths));
  paths_[level] += fmt::format("M{} {}{}", coordinate(x), coordinate(y), shape_);
}

void LevelCells::draw(Svg& svg) const {
  for (std::size_t level = 1; level < paths_.size(); ++level) {
    if (paths_[level].empty()) continue;
    svg.element(
        "path",
        {{"class", "level"}, {"fill-opacity", static_cast<double>(level) / strengths}, {"d", paths_[level]}});
  }
}

}  // namespace switchyard::report
