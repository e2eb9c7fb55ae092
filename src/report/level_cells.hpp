// The cells of a large map, one path for all of one strength: an element for each of thousands of cells would
// make the page many times as large.
#pragma once

#include <array>
#include <string>

#include "report/svg.hpp"

namespace switchyard::report {

class LevelCells {
 public:
  // Cells of this size.
  LevelCells(double width, double height);
  // One with its upper left corner there; `strength` from 0, which draws nothing, to 1.
  void add(double x, double y, double strength);
  void draw(Svg& svg) const;

 private:
  static constexpr std::size_t strengths = 10;
  std::string shape_;
  std::array<std::string, strengths + 1> paths_;
};

}  // namespace switchyard::report
