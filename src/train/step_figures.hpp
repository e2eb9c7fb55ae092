// All numbers of a step that are no activation, no gradient and no parameter.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/span.hpp"
#include "device/context.hpp"
#include "ops/step_scalars.hpp"

namespace switchyard::train {

// They lie side by side in one block of memory, so that their zeros are one operation, and their way to the
// host one copy. A message is what ranks add up: squares of gradients as bit patterns, counts, marks
// (ops::Mark).
class StepFigures {
 public:
  struct Sizes {
    index_t squares = 0;
    index_t counts = 0;
    index_t sums = 0;
  };
  StepFigures(Sizes sizes, device::MemoryKind memory);

  ops::StepScalars* scalars() { return reinterpret_cast<ops::StepScalars*>(block_.data()); }
  const ops::StepScalars& scalars() const { return *reinterpret_cast<const ops::StepScalars*>(block_.data()); }
  Span<double> sums() { return {reinterpret_cast<double*>(block_.data() + sums_begin), sizes_.sums}; }
  Span<std::int64_t> message() {
    return {reinterpret_cast<std::int64_t*>(sums().data() + sizes_.sums), message_count()};
  }
  Span<std::int64_t> counts() { return message().subspan(sizes_.squares, sizes_.counts); }
  std::int64_t mark(index_t which) { return message()[sizes_.squares + sizes_.counts + which]; }

  // A new step: zeros, but for the scalars. In the context's memory.
  void clear(device::Context& context);
  // Takes the host's numbers there for what is enqueued from here on.
  void give(device::Context& context, const ops::StepScalars::Given& given);
  // To figures of the same sizes in the host's memory: at once on a CPU, on a GPU when its queue has come to
  // it.
  void copy_to(device::Context& context, StepFigures& host);

 private:
  static constexpr index_t sums_begin = 256;  // behind the scalars, at a boundary of arrays
  static_assert(sizeof(ops::StepScalars) <= sums_begin);

  index_t message_count() const;

  Sizes sizes_;
  device::Buffer<std::byte> block_;
};

}  // namespace switchyard::train
