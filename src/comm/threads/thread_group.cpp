#include "comm/threads/thread_group.hpp"

#include <fmt/format.h>

#include <exception>
#include <memory>
#include <thread>
#include <vector>

#include "base/contract.hpp"
#include "base/floating_point.hpp"
#include "comm/threads/meeting_place.hpp"
#include "comm/threads/thread_communicator.hpp"
#include "device/single_threaded_libraries.hpp"

namespace switchyard::comm {

GroupAborted::GroupAborted(ExitCode code)
    : MpiError(fmt::format("a rank ended the group (abort with exit code {}); its own message says why",
                           static_cast<int>(code))),
      code_(code) {}

namespace {

void run_rank(const std::shared_ptr<threads::MeetingPlace>& world, GroupRank rank,
              const std::function<void(Communicator&)>& body) {
  flush_denormals_to_zero();
  device::use_libraries_single_threaded();
  try {
    ThreadCommunicator communicator(world, rank);
    body(communicator);
  } catch (...) {
    world->program().fail(std::current_exception());
  }
  world->program().leave();
}

}  // namespace

void run_ranks(int ranks, const std::function<void(Communicator&)>& body) {
  SY_EXPECTS(ranks >= 1, "{} ranks", ranks);
  const auto program = std::make_shared<threads::Program>(ranks);
  const auto world = std::make_shared<threads::MeetingPlace>(program, ranks);
  {
    std::vector<std::jthread> threads;
    try {
      for (int r = 0; r < ranks; ++r) threads.emplace_back([&, r] { run_rank(world, GroupRank(r), body); });
    } catch (...) {
      program->fail(std::current_exception());  // no thread could be made: those that run must not wait for it
    }
  }
  program->rethrow_failure();
}

}  // namespace switchyard::comm
