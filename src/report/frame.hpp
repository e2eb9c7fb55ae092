// The part of a picture inside its axes.
#pragma once

#include <string>
#include <string_view>

#include "report/scale.hpp"
#include "report/svg.hpp"
#include "report/text.hpp"

namespace switchyard::report {

struct Axis {
  std::string label;  // with the unit
  Ticks ticks;
  NumberStyle style = NumberStyle::plain;
};

struct Frame {
  Scale x;
  Scale y;
  double left = 0;
  double right = 0;
  double top = 0;
  double bottom = 0;
};

struct FrameSize {
  double width = 0;
  double height = 0;
  double right_room = 14;  // for labels beside the last values
};

// Draws both axes with grid lines, tick labels and labels, and returns what lies between them. Vertical labels
// stand above their axis, where they read without turning one's head.
Frame draw_frame(Svg& svg, const FrameSize& size, const Axis& x, const Axis& y);

// The same with an axis at the bottom only, for rows that have names: bars, boxes, intervals.
struct RowFrameSize {
  double width = 0;
  double row_height = 0;
  std::size_t rows = 0;
  double left = 14;
};
Frame draw_row_frame(Svg& svg, const RowFrameSize& size, const Axis& x);
double row_frame_height(const RowFrameSize& size);

// About how wide the text is, in the largest font that the style gives it.
double text_width(std::string_view text);
// At most `columns` characters, the last one an ellipsis if there were more.
std::string shortened(std::string_view text, std::size_t columns);

}  // namespace switchyard::report
