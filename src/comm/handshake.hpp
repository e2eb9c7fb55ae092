// What all ranks of a run must have alike, compared before they work together.
#pragma once

#include <string>

#include "base/span.hpp"
#include "comm/communicator.hpp"

namespace switchyard::comm {

// One thing that every rank says of itself.
struct Compared {
  std::string what;    // begins the sentence: "the command", "optim.learning_rate"
  std::string value;   // "train", "0.001"
  std::string advice;  // ends it: "(why it matters); what to try"
};

// Throws an Error of `kind` on every rank if `mine` is not the same on all of them. The sentence names the
// first thing that differs from the root's, both values, rank and host of both, and what else differs between
// those two. Collective. One reduction of 16 bytes where all is alike; the texts travel only otherwise.
void expect_same(Communicator& communicator, ErrorKind kind, Span<const Compared> mine);

}  // namespace switchyard::comm
