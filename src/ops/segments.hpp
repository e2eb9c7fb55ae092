// Copies between two arrays whose parts lie in another order, or with other gaps.
#pragma once

#include "base/span.hpp"
#include "device/context.hpp"
#include "device/transfer.hpp"

namespace switchyard::ops {

// from[from .. from + count) to to[to ..].
struct Segment {
  index_t from;
  index_t to;
  index_t count;
};

// A list of them that is made once, cut into pieces for threads, in the memory of a context.
class Segments {
 public:
  Segments() = default;
  Segments(device::MemoryKind memory, Span<const Segment> segments);

  // One operation for all.
  void copy(device::Context& context, const float* from, float* to) const;
  // The other way round.
  void copy_back(device::Context& context, const float* from, float* to) const;

 private:
  device::Buffer<Segment> pieces_;
};

}  // namespace switchyard::ops
