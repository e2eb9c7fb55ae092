// From values to places on the paper.
#pragma once

#include <vector>

namespace switchyard::report {

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

// An axis that holds `low` to `high` and has about `wanted` ticks; it ends on ticks. A span of nothing, or of
// no numbers, is widened.
Ticks nice_ticks(double low, double high, int wanted, TickKind kind = TickKind::any);
// The same ticks inside low..high, where the axis ends: a curve over steps should fill the width.
Ticks ticks_within(double low, double high, int wanted, TickKind kind = TickKind::any);

}  // namespace switchyard::report
