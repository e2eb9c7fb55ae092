// A communicator of NCCL: from its id to its end. Private to comm/nccl.
#pragma once

#include <fmt/format.h>

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>

#include "comm/communicator.hpp"
#include "comm/nccl/nccl_library.hpp"

namespace switchyard::comm::nccl {

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
  // Waits until NCCL has enqueued what the last call asked for: it may return before. The group's watchdog
  // watches.
  void settle(std::string_view call, const Request& request) const;
  // Throws what NCCL has met since, as NcclError. Whether what was asked for has been enqueued.
  bool look(std::string_view call, const Request& request) const;
  // All that was enqueued has ended, on this rank: lets go of the handle in good order.
  void finish() noexcept;
  void give_up() noexcept;

 private:
  explicit NcclCommunicator(Communicator& group) : group_(group) {}

  void ask_for(const ncclUniqueId& id);
  void wait_for_all() const;
  void expect_in_time(double waited_seconds) const;
  [[noreturn]] void fail(ncclResult_t result, std::string_view call, std::string_view details) const;

  Communicator& group_;
  std::atomic<ncclComm_t> comm_ = nullptr;
  mutable std::mutex looked_at_;  // a look goes on, and give_up() of another thread waits for its end
};

}  // namespace switchyard::comm::nccl
