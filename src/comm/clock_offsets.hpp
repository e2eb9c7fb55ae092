// How the clocks of the ranks differ.
#pragma once

#include <cstdint>
#include <vector>

#include "comm/communicator.hpp"

namespace switchyard::comm {

// Of one rank's steady clock, against the root's.
struct ClockOffset {
  std::int64_t root_ns = 0;    // when, by the root's clock
  std::int64_t offset_ns = 0;  // what the rank's clock then shows more
  std::int64_t round_trip_ns =
      0;  // of the fastest question and answer: the offset is wrong by half of it at most
};

// Asks each rank in turn for its time, some rounds long, and takes the fastest round (Cristian 1989). The
// result, an entry per rank, is the root's; empty elsewhere. Collective.
std::vector<ClockOffset> clock_offsets(Communicator& communicator);

}  // namespace switchyard::comm
