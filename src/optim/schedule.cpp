#include "optim/schedule.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace switchyard::optim {

double learning_rate(const Options& options, index_t horizon, index_t step) {
  if (step < options.warmup_steps) {
    return options.learning_rate * static_cast<double>(step + 1) / static_cast<double>(options.warmup_steps);
  }
  switch (options.schedule) {
    case ScheduleKind::constant:
      return options.learning_rate;
    case ScheduleKind::cosine: {
      const double length = static_cast<double>(std::max<index_t>(horizon - options.warmup_steps, 1));
      const double done = std::min(1.0, static_cast<double>(step - options.warmup_steps) / length);
      return options.learning_rate * 0.5 * (1.0 + std::cos(std::numbers::pi * done));
    }
  }
  return options.learning_rate;
}

}  // namespace switchyard::optim
