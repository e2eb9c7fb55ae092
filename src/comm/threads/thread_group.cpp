#include "comm/threads/thread_group.hpp"

#include <fmt/format.h>

#include <exception>
#include <memory>
#include <thread>
#include <vector>

#include "base/contract.hpp"
#include "base/floating_point.hpp"
#include "comm/threads/rendezvous.hpp"
#include "comm/threads/thread_communicator.hpp"
#include "device/single_threaded_libraries.hpp"

namespace switchyard::comm {

GroupAborted::GroupAborted(ExitCode code)
    : MpiError(fmt::format("a rank ended the group (abort with exit code {}); its own message says why",
                           static_cast<int>(code))),
      code_(code) {}

namespace {

void run_rank(const std::shared_ptr<threads::Rendezvous>& everybody, GroupRank rank,
              const std::function<void(Communicator&)>& body) {
  flush_denormals_to_zero();
  device::use_libraries_single_threaded();
  try {
    ThreadCommunicator communicator(everybody, rank);
    body(communicator);
  } catch (...) {
    everybody->world().fail(std::current_exception());
  }
  everybody->world().leave();
}

}  // namespace

void run_ranks(int ranks, const std::function<void(Communicator&)>& body) {
  SY_EXPECTS(ranks >= 1, "{} ranks", ranks);
  const auto world = std::make_shared<threads::ThreadWorld>(ranks);
  const auto everybody = std::make_shared<threads::Rendezvous>(world, ranks);
  {
    std::vector<std::jthread> threads;
    try {
      for (int r = 0; r < ranks; ++r) threads.emplace_back([&, r] { run_rank(everybody, GroupRank(r), body); });
    } catch (...) {
      world->fail(std::current_exception());  // no thread could be made: those that run must not wait for it
    }
  }
  world->rethrow_failure();
}

}  // namespace switchyard::comm
