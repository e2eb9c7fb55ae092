// A communicator of NCCL: from its id to its end. Private to comm/nccl.
#pragma once

#include <fmt/format.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "comm/communicator.hpp"
#include "comm/nccl/nccl_library.hpp"

namespace switchyard::comm::nccl {

// How long something has been waited for, without time in which this process did not run (a suspended job).
class Patience {
 public:
  Patience() { begin(); }
  void begin() {
    last_ = Clock::now();
    seconds_ = 0;
  }
  // So far; to be asked again and again.
  double waited_seconds();

 private:
  using Clock = std::chrono::steady_clock;
  Clock::time_point last_;
  double seconds_;
};

// What a rank has asked of NCCL, for messages.
struct Request {
  Operation operation = Operation::start;
  index_t number = 0;  // of the data plane's operations
  index_t sent_bytes = 0;
  index_t received_bytes = 0;

  std::string text() const;
};

// Owns the handle. It does not block: a call that NCCL goes on with is waited for here, with an eye on its
// errors and on the time. Used by one thread; give_up() by any.
class NcclCommunicator {
 public:
  // Collective over `group`, which must outlive it; ranks agree on failures.
  static std::unique_ptr<NcclCommunicator> make(Communicator& group);
  // Aborts what has not been finished, after a failure of this rank or before the one of another.
  ~NcclCommunicator();
  NcclCommunicator(const NcclCommunicator&) = delete;
  NcclCommunicator& operator=(const NcclCommunicator&) = delete;

  Communicator& group() const { return group_; }
  // NcclError after give_up().
  ncclComm_t handle() const;

  // Throws the NcclError of a call that returned `result`, unless NCCL goes on with it. `details`, peers and
  // bytes, are written only then.
  template <class... Args>
  void check(ncclResult_t result, std::string_view call, fmt::format_string<Args...> details,
             Args&&... args) const {
    if (result != ncclSuccess && result != ncclInProgress) [[unlikely]]
      fail(result, call, fmt::format(details, std::forward<Args>(args)...));
  }
  // Waits until NCCL has enqueued what the last call asked for: it may return before.
  void settle(std::string_view call, const Request& request) const;
  // Throws what NCCL has met since, as NcclError. Whether what was asked for has been enqueued.
  bool look(std::string_view call, const Request& request) const;
  // Throws TimeoutError if `waited_seconds` are more than a rank waits for others.
  void expect_in_time(double waited_seconds, const Request& request) const;

  // All that was enqueued has ended, on this rank: lets go of the handle in good order.
  void finish() noexcept;
  void give_up() noexcept;

 private:
  explicit NcclCommunicator(Communicator& group) : group_(group) {}

  void join(const ncclUniqueId& id);
  [[noreturn]] void fail(ncclResult_t result, std::string_view call, std::string_view details) const;

  Communicator& group_;
  std::atomic<ncclComm_t> comm_ = nullptr;
  double limit_share_ = 1;  // of what the watchdog grants a wait
};

}  // namespace switchyard::comm::nccl
