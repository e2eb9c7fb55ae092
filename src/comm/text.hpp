// Texts between ranks.
#pragma once

#include <string>

#include "comm/communicator.hpp"

namespace switchyard::comm {

// `text` of rank `root` to every rank; the others need not know its length. Collective, blocking.
void broadcast(Communicator& communicator, std::string& text, GroupRank root = GroupRank(0));

}  // namespace switchyard::comm
