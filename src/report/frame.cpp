#include "report/frame.hpp"

#include <algorithm>
#include <cmath>

namespace switchyard::report {
namespace {

constexpr double top_room = 26;     // the label of the vertical axis
constexpr double bottom_room = 42;  // tick labels and the label of the horizontal axis
constexpr double character_width = 7.4;

// The 1, 2 or 5 times a power of ten that is nearest to `raw` by ratio: the geometric means of neighbours
// divide.
double nice_step(double raw, TickKind kind) {
  const double power = std::pow(10.0, std::floor(std::log10(raw)));
  const double fraction = raw / power;
  const double factor = fraction < std::sqrt(2.0)    ? 1
                        : fraction < std::sqrt(10.0) ? 2
                        : fraction < std::sqrt(50.0) ? 5
                                                     : 10;
  const double step = factor * power;
  return kind == TickKind::whole ? std::max(1.0, step) : step;
}

Range widened(Range span) {
  auto [low, high] = span;
  if (!std::isfinite(low) || !std::isfinite(high)) return {0, 1};
  if (low > high) std::swap(low, high);
  // Closer than this, neighbouring ticks would be one double.
  const double smallest = 1e-9 * std::max(std::abs(low), std::abs(high));
  if (high - low > smallest && high - low > 1e-300) return {low, high};
  const double room = low == 0 ? 1 : std::abs(low) / 2;
  return low == 0 ? Range{0, 1} : Range{low - room, high + room};
}

// Multiples of the step from first x step to last x step.
std::vector<double> multiples(double first, double last, double step) {
  std::vector<double> values;
  for (int n = 0; first + n <= last; ++n) {
    const double i = first + n;
    values.push_back(i == 0 ? 0.0 : i * step);
  }
  return values;
}

constexpr double slack = 1e-9;  // of a step: 0.3 / 0.1 is 2.9999999999999996

bool starts_character(char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }

void draw_x_axis(Svg& svg, const Frame& frame, const Axis& x) {
  double free_from = -1e9;  // labels that would touch the one before are left out
  for (const double value : x.ticks.values) {
    const double place = frame.x(value);
    svg.line(place, frame.top, place, frame.bottom, "grid");
    const std::string label = tick_text(value, x.ticks.step, x.style);
    const double half = text_width(label) / 2;
    if (place - half < free_from) continue;
    svg.text(place, frame.bottom + 16, "tick middle", label);
    free_from = place + half + 5;
  }
  svg.line(frame.left, frame.bottom, frame.right, frame.bottom, "axis");
  svg.text((frame.left + frame.right) / 2, frame.bottom + 35, "label middle", x.label);
}

}  // namespace

void Range::add(double value) {
  if (!std::isfinite(value)) return;
  low = std::min(low, value);
  high = std::max(high, value);
}

Ticks nice_ticks(Range given, int wanted, TickKind kind) {
  const Range span = widened(given);
  const double step = nice_step((span.high - span.low) / std::max(wanted, 1), kind);
  const double first = std::floor(span.low / step + slack);
  const double last = std::max(std::ceil(span.high / step - slack), first + 1);
  return {first * step, last * step, step, multiples(first, last, step)};
}

Ticks ticks_within(Range given, int wanted, TickKind kind) {
  const Range span = widened(given);
  const double step = nice_step((span.high - span.low) / std::max(wanted, 1), kind);
  const double first = std::ceil(span.low / step - slack);
  const double last = std::floor(span.high / step + slack);
  return {span.low, span.high, step, multiples(first, last, step)};
}

double text_width(std::string_view text) {
  constexpr double more_of_percent = 0.7;  // of a character: the sign is wider than a digit
  return character_width * (static_cast<double>(std::ranges::count_if(text, starts_character)) +
                            more_of_percent * static_cast<double>(std::ranges::count(text, '%')));
}

std::string shortened(std::string_view text, std::size_t columns) {
  std::size_t characters = 0;
  std::size_t cut = 0;  // where the last character that surely fits ends
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (!starts_character(text[i])) continue;
    if (characters + 1 == columns) cut = i;
    if (++characters > columns) return std::string(text.substr(0, cut)) + "…";
  }
  return std::string(text);
}

Frame draw_frame(Svg& svg, const FrameSize& size, const Axis& x, const Axis& y) {
  double label_room = 0;
  for (const double value : y.ticks.values) {
    label_room = std::max(label_room, text_width(tick_text(value, y.ticks.step, y.style)));
  }
  Frame frame;
  frame.left = label_room + 12;
  frame.right = size.width - size.right_room;
  frame.top = top_room;
  frame.bottom = size.height - bottom_room;
  frame.x = {x.ticks.low, x.ticks.high, frame.left, frame.right};
  frame.y = {y.ticks.low, y.ticks.high, frame.bottom, frame.top};
  for (const double value : y.ticks.values) {
    const double place = frame.y(value);
    svg.line(frame.left, place, frame.right, place, "grid");
    svg.text(frame.left - 6, place + 4, "tick end", tick_text(value, y.ticks.step, y.style));
  }
  svg.text(2, 13, "label", y.label);
  draw_x_axis(svg, frame, x);
  return frame;
}

double row_frame_height(const RowFrameSize& size) {
  return 8 + size.row_height * static_cast<double>(size.rows) + bottom_room;
}

Frame draw_row_frame(Svg& svg, const RowFrameSize& size, const Axis& x) {
  Frame frame;
  frame.left = size.left;
  if (!x.ticks.values.empty()) {  // half of the first tick's label, as of the last one
    const std::string first = tick_text(x.ticks.values.front(), x.ticks.step, x.style);
    frame.left = std::max(frame.left, text_width(first) / 2 + 2);
  }
  frame.right = size.width - 20;
  frame.top = 8;
  frame.bottom = row_frame_height(size) - bottom_room;
  frame.x = {x.ticks.low, x.ticks.high, frame.left, frame.right};
  draw_x_axis(svg, frame, x);
  return frame;
}

}  // namespace switchyard::report
