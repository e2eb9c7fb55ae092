// The part of a picture inside its axes, and the way from values to places there.
#pragma once

#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "report/svg.hpp"
#include "report/text.hpp"

namespace switchyard::report {

// From the smallest value to the largest; of none, the ends are infinite.
struct Range {
  double low = std::numeric_limits<double>::infinity();
  double high = -std::numeric_limits<double>::infinity();

  void add(double value);  // what is no finite number is left out
};

// Values from `low` to `high` on a line from `begin` to `end` (which may be below `begin`).
struct Scale {
  double low = 0;
  double high = 1;
  double begin = 0;
  double end = 1;

  double operator()(double value) const { return begin + (value - low) / (high - low) * (end - begin); }
};

// The ends and ticks of an axis: multiples of a step of 1, 2 or 5 times a power of ten.
struct Ticks {
  double low = 0;
  double high = 1;
  double step = 1;
  std::vector<double> values;
};
enum class TickKind { any, whole };  // whole: steps and epochs have no halves

// An axis that holds `span` and has about `wanted` ticks; it ends on ticks. A span of nothing, or of
// no numbers, is widened.
Ticks nice_ticks(Range span, int wanted, TickKind kind = TickKind::any);
// The same ticks inside `span`, where the axis ends: a curve over steps should fill the width.
Ticks ticks_within(Range span, int wanted, TickKind kind = TickKind::any);

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
