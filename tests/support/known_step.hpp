// A step of an optimiser whose numbers a test knows, without ranks that agree on them.
#pragma once

#include <bit>
#include <vector>

#include "ops/agreement.hpp"
#include "optim/optimiser.hpp"

namespace switchyard::test {

struct KnownStep {
  index_t step = 0;  // from 0
  double learning_rate = 0;
  double gradient_scale = 1;
  std::vector<double> squares = {};  // of gradients, by the table of norms; none: nobody asks for them
};

// On a CPU.
inline void update(optim::Optimiser& optimiser, device::Context& context, const KnownStep& known) {
  ops::StepScalars scalars;
  scalars.given = optimiser.given(known.step, known.learning_rate);
  if (!known.squares.empty()) {
    std::vector<std::int64_t> message;
    for (const double square : known.squares) message.push_back(std::bit_cast<std::int64_t>(square));
    message.resize(message.size() + ops::mark_count);
    optimiser.agree(context, message, {}, &scalars);
  }
  scalars.agreed.gradient_scale = static_cast<float>(known.gradient_scale);
  optimiser.update(context, &scalars);
}

}  // namespace switchyard::test
