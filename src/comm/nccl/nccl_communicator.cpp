#include "comm/nccl/nccl_communicator.hpp"

#include <algorithm>
#include <optional>
#include <thread>

#include "base/host_name.hpp"
#include "base/log.hpp"
#include "comm/agreement.hpp"
#include "comm/watchdog.hpp"
#include "device/cuda/check.hpp"

namespace switchyard::comm::nccl {
namespace {

constexpr std::string_view advice =
    "look for an earlier message of another rank; NCCL_DEBUG=INFO makes NCCL say more, NCCL_SOCKET_IFNAME names "
    "the network that it shall use, and comm.data_plane = mpi does without it";

constexpr std::string_view init_call = "ncclCommInitRankConfig";

// Between two looks at what NCCL is doing.
constexpr auto pause = std::chrono::microseconds(100);

// How long another rank, whose failure may be what NCCL has met here, has for saying so and ending this one.
constexpr auto grace = std::chrono::seconds(2);

// How long something has been waited for, without time in which this process did not run (a suspended job).
class Patience {
 public:
  double waited_seconds() {
    constexpr double longest_look_seconds = 1;
    const Clock::time_point now = Clock::now();
    const double since = std::chrono::duration<double>(now - std::exchange(last_, now)).count();
    return seconds_ += std::min(since, longest_look_seconds);
  }

 private:
  using Clock = std::chrono::steady_clock;
  Clock::time_point last_ = Clock::now();
  double seconds_ = 0;
};

}  // namespace

std::string Request::text() const {
  if (operation == Operation::start) return "a communicator of all ranks";
  return fmt::format("{}, operation {} of the data plane, {} bytes to other ranks and {} from them",
                     name(operation), number, sent_bytes, received_bytes);
}

std::unique_ptr<NcclCommunicator> NcclCommunicator::make(Communicator& group) {
  std::unique_ptr<NcclCommunicator> made;
  ncclUniqueId id{};
  agree(group, [&] {
    const Functions& opened = functions();
    made.reset(new NcclCommunicator(group));
    if (group.is_root())
      made->check(opened.get_unique_id(&id), "ncclGetUniqueId", "for {} ranks", group.size());
  });
  group.broadcast(Span<ncclUniqueId>(&id, 1), GroupRank(0));
  agree(group, [&] { made->ask_for(id); });
  // A rank that fails from here on leaves the others to wait until they are late: its own failure is the cause.
  std::optional<TimeoutError> late;
  agree(group, [&] {
    try {
      made->wait_for_all();
    } catch (const TimeoutError& error) {
      late = error;
    }
  });
  agree(group, [&] {
    if (late) throw TimeoutError(*late);
  });
  return made;
}

// Returns at once.
void NcclCommunicator::ask_for(const ncclUniqueId& id) {
  ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
  config.blocking = 0;
  ncclComm_t made = nullptr;
  const ncclResult_t result =
      functions().comm_init_rank_config(&made, group_.size(), id, group_.rank().value, &config);
  comm_ = made;
  check(result, init_call, "a communicator of {} ranks", group_.size());
}

void NcclCommunicator::wait_for_all() const {
  Patience patience;
  while (!look(init_call, {})) {
    expect_in_time(patience.waited_seconds());
    std::this_thread::sleep_for(pause);
  }
}

NcclCommunicator::~NcclCommunicator() { give_up(); }

void NcclCommunicator::finish() noexcept {
  ncclComm_t const comm = comm_.exchange(nullptr);
  if (comm == nullptr) return;
  const ncclResult_t result = functions().comm_destroy(comm);
  if (result == ncclSuccess || result == ncclInProgress) return;
  log::error("ncclCommDestroy failed ({})", functions().error_string(result));
  functions().comm_abort(comm);
}

void NcclCommunicator::give_up() noexcept {
  const std::lock_guard lock(looked_at_);
  if (ncclComm_t const comm = comm_.exchange(nullptr); comm != nullptr) functions().comm_abort(comm);
}

ncclComm_t NcclCommunicator::handle() const {
  ncclComm_t const comm = comm_;
  if (comm == nullptr) {
    throw NcclError(
        fmt::format("rank {} of {} on {} can send no rows (its communicator of NCCL was given up after a "
                    "failure); look for an earlier message",
                    group_.rank().value, group_.size(), host_name()));
  }
  return comm;
}

void NcclCommunicator::settle(std::string_view call, const Request& request) const {
  if (look(call, request)) return;
  const WatchedWait wait(group_.watchdog(), WatchedWait::OnDevice{request.operation});
  while (!look(call, request)) std::this_thread::sleep_for(pause);
}

bool NcclCommunicator::look(std::string_view call, const Request& request) const {
  ncclResult_t state = ncclSuccess;
  ncclResult_t result = ncclSuccess;
  {
    const std::lock_guard lock(looked_at_);
    result = functions().comm_get_async_error(handle(), &state);
  }
  if (result != ncclSuccess) fail(result, "ncclCommGetAsyncError", request.text());
  if (state != ncclSuccess && state != ncclInProgress) {
    if (group_.watchdog() != nullptr) std::this_thread::sleep_for(grace);
    fail(state, call, request.text());
  }
  return state == ncclSuccess;
}

// A rank whose own call failed waits for the others in agree(), and its watchdog's time runs: others give up at
// half of it.
void NcclCommunicator::expect_in_time(double waited_seconds) const {
  const double limit_seconds = group_.watchdog() == nullptr ? 0 : group_.watchdog()->limit_seconds();
  if (limit_seconds <= 0 || waited_seconds <= limit_seconds / 2) return;
  throw TimeoutError(fmt::format(
      "rank {} of {} on {} has waited {:.0f} s for other ranks ({}); look for a rank that stopped or "
      "is slower than the rest, or raise run.wait_seconds",
      group_.rank().value, group_.size(), host_name(), waited_seconds, Request{}.text()));
}

void NcclCommunicator::fail(ncclResult_t result, std::string_view call, std::string_view details) const {
  std::string words;
  {
    const std::lock_guard lock(looked_at_);
    if (const char* const last = functions().last_error(comm_); last != nullptr) words = last;
  }
  throw NcclError(fmt::format("{} failed on rank {} of {} on {} ({}; {}{}{}{}); {}", call, group_.rank().value,
                              group_.size(), host_name(), details, functions().error_string(result),
                              words.empty() ? "" : ": ", words, device::cuda::also_met(), advice));
}

}  // namespace switchyard::comm::nccl
