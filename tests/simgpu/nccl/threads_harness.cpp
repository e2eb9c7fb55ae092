#include <fmt/format.h>

#include "comm/threads/thread_group.hpp"
#include "conformance/comm/harness.hpp"

namespace switchyard::comm {

std::vector<Harness> harnesses() {
  std::vector<Harness> all;
  for (const int ranks : {1, 2, 3, 4}) {
    all.push_back({fmt::format("threads_{}", ranks),
                   [ranks](const std::function<void(Communicator&)>& body) { run_ranks(ranks, body); }});
  }
  return all;
}

}  // namespace switchyard::comm
