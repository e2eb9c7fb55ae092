#include "ops/segments.hpp"

#include <algorithm>

#include "device/launch.hpp"

namespace switchyard::ops {
namespace kernels {

// "Row" is a piece.
struct CopySegments {
  const Segment* pieces;
  bool back;
  const float* from;
  float* to;

  template <class Team>
  SY_HD void operator()(const Team& team, index_t row) const {
    const Segment piece = pieces[row];
    const float* const source = from + (back ? piece.to : piece.from);
    float* const target = to + (back ? piece.from : piece.to);
    team.for_each(piece.count, [=](index_t i) { target[i] = source[i]; });
  }
};

}  // namespace kernels

Segments::Segments(device::MemoryKind memory, Span<const Segment> segments) {
  constexpr index_t most = 4096;
  Vector<Segment> pieces;
  for (const Segment& whole : segments) {
    for (index_t first = 0; first < whole.count; first += most)
      pieces.push_back({whole.from + first, whole.to + first, std::min(most, whole.count - first)});
  }
  pieces_ = device::make_table<Segment>(memory, pieces);
}

void Segments::copy(device::Context& context, const float* from, float* to) const {
  device::for_each_row(context, pieces_.count(), kernels::CopySegments{pieces_.data(), false, from, to});
}

void Segments::copy_back(device::Context& context, const float* from, float* to) const {
  device::for_each_row(context, pieces_.count(), kernels::CopySegments{pieces_.data(), true, from, to});
}

}  // namespace switchyard::ops
