// Failures that all ranks agree on.
#pragma once

#include <functional>

#include "comm/communicator.hpp"

namespace switchyard::comm {

// Runs `action` on this rank, then exchanges how it went. If it threw on any rank, every rank throws an Error
// of the kind and message of the lowest such rank, which is named if it is not the root; so nobody is left
// waiting. Collective; `action` may itself be collective only if it fails on all ranks or on none. An MpiError
// is not agreed on: it is thrown as it is, on the rank that has it, and must end the others.
void agree(Communicator& communicator, const std::function<void()>& action);

// Whether `mine` is true on any rank: the same answer on all. Collective.
bool on_any_rank(Communicator& communicator, bool mine);

}  // namespace switchyard::comm
