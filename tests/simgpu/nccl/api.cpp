// The functions of NCCL that the program calls.
#include <fmt/format.h>
#include <nccl.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <set>
#include <thread>
#include <utility>

#include "simgpu/nccl/communicator.hpp"

struct ncclComm {
  std::shared_ptr<simgpu::nccl::Communicator> of;
};

namespace simgpu::nccl {
namespace {

// Those that are neither destroyed nor aborted. One left at the end is a mistake.
struct OpenCommunicators {
  std::mutex mutex;
  std::set<ncclComm_t> communicators;
  ~OpenCommunicators() {
    if (communicators.empty()) return;
    std::fprintf(stderr, "simulated NCCL: rank %d has neither destroyed nor aborted its communicator\n",
                 (*communicators.begin())->of->rank());
    std::fflush(stderr);
    ::_exit(mistake_exit_code);
  }
  bool has(ncclComm_t comm) {
    const std::scoped_lock lock(mutex);
    return communicators.contains(comm);
  }
  void add(ncclComm_t comm) {
    const std::scoped_lock lock(mutex);
    communicators.insert(comm);
  }
  bool take(ncclComm_t comm) {
    const std::scoped_lock lock(mutex);
    return communicators.erase(comm) != 0;
  }
};
OpenCommunicators open_communicators;

// Calls of one thread between the start and the end of a group.
struct Group {
  int depth = 0;
  ncclResult_t failure = ncclSuccess;
  std::vector<std::pair<ncclComm_t, Call>> calls;
};
thread_local Group group;
thread_local std::string last_error;

ncclResult_t refuse(ncclResult_t code, std::string sentence) {
  last_error = std::move(sentence);
  if (group.depth > 0 && group.failure == ncclSuccess) group.failure = code;
  return code;
}

// What a call begins with; a result other than success is the call's.
ncclResult_t begin(std::string_view call) {
  const std::optional<int> planned = enter(call, ncclInternalError);
  if (!planned) return ncclSuccess;
  return refuse(static_cast<ncclResult_t>(*planned), fmt::format("a planned failure of {}", call));
}

ncclResult_t begin_with(std::string_view call, ncclComm_t comm) {
  if (const ncclResult_t failed = begin(call); failed != ncclSuccess) return failed;
  if (!open_communicators.has(comm))
    return refuse(ncclInvalidArgument,
                  fmt::format("{} with a communicator that is not, or no longer, open", call));
  return ncclSuccess;
}

ncclResult_t begin_outside_groups(std::string_view call, ncclComm_t comm) {
  if (const ncclResult_t failed = begin_with(call, comm); failed != ncclSuccess) return failed;
  if (group.depth > 0)
    return refuse(ncclInvalidUsage, fmt::format("{} in an open group (ncclGroupEnd is missing)", call));
  return ncclSuccess;
}

ncclResult_t submit(ncclComm_t comm, std::vector<Call> calls) {
  comm->of->submit(std::move(calls));
  return comm->of->blocks() ? ncclSuccess : ncclInProgress;
}

ncclResult_t take(std::string_view name, ncclComm_t comm, const Call& call) {
  if (const std::string why = comm->of->why_busy(); !why.empty())
    return refuse(ncclInvalidUsage, fmt::format("{}: {}", name, why));
  if (call.kind != Call::Kind::all_reduce && (call.peer < 0 || call.peer >= comm->of->ranks()))
    return refuse(ncclInvalidArgument, fmt::format("{}: there is no rank {}", name, call.peer));
  if (group.depth == 0) return submit(comm, {call});
  group.calls.emplace_back(comm, call);
  return ncclSuccess;
}

std::int64_t bytes_of(ncclDataType_t type) {
  switch (type) {
    case ncclInt8:
    case ncclUint8:
      return 1;
    case ncclFloat16:
    case ncclBfloat16:
      return 2;
    case ncclInt32:
    case ncclUint32:
    case ncclFloat32:
      return 4;
    case ncclInt64:
    case ncclUint64:
    case ncclFloat64:
      return 8;
  }
  return 0;
}

ncclResult_t end_of_group() {
  Group ended = std::exchange(group, {});
  if (ended.failure != ncclSuccess) return ended.failure;
  ncclResult_t result = ncclSuccess;
  while (!ended.calls.empty()) {
    ncclComm_t const comm = ended.calls.front().first;
    std::vector<Call> calls;
    for (const auto& [of, call] : ended.calls) {
      if (of == comm) calls.push_back(call);
    }
    std::erase_if(ended.calls, [&](const auto& entry) { return entry.first == comm; });
    result = submit(comm, std::move(calls));
  }
  return result;
}

}  // namespace
}  // namespace simgpu::nccl

using namespace simgpu::nccl;

extern "C" {

ncclResult_t ncclGetVersion(int* version) {
  if (const ncclResult_t failed = begin("ncclGetVersion"); failed != ncclSuccess) return failed;
  *version = library_version();
  return ncclSuccess;
}

ncclResult_t ncclGetUniqueId(ncclUniqueId* id) {
  if (const ncclResult_t failed = begin("ncclGetUniqueId"); failed != ncclSuccess) return failed;
  *id = {};
  const std::string name = make_segment();
  std::memcpy(id->internal, name.c_str(), name.size());
  return ncclSuccess;
}

ncclResult_t ncclCommInitRankConfig(ncclComm_t* comm, int ranks, ncclUniqueId id, int rank,
                                    ncclConfig_t* config) {
  constexpr std::string_view name = "ncclCommInitRankConfig";
  if (const ncclResult_t failed = begin(name); failed != ncclSuccess) return failed;
  const ncclConfig_t usual = NCCL_CONFIG_INITIALIZER;
  if (config == nullptr || config->size != usual.size || config->magic != usual.magic)
    return refuse(ncclInvalidArgument, "a configuration without NCCL_CONFIG_INITIALIZER");
  if (ranks < 1 || ranks > most_ranks || rank < 0 || rank >= ranks)
    return refuse(ncclInvalidArgument, fmt::format("rank {} of {}", rank, ranks));
  id.internal[NCCL_UNIQUE_ID_BYTES - 1] = '\0';
  std::shared_ptr<Page> page = open_segment(id.internal);
  if (page == nullptr)
    return refuse(ncclInvalidArgument,
                  fmt::format("an id that ncclGetUniqueId did not make ({})", id.internal));
  const bool blocks = config->blocking != 0;
  *comm = new ncclComm{std::make_shared<Communicator>(std::move(page), id.internal, ranks, rank, blocks)};
  open_communicators.add(*comm);
  if (!blocks) return ncclInProgress;
  while ((*comm)->of->state() == ncclInProgress) std::this_thread::yield();
  return (*comm)->of->state();
}

ncclResult_t ncclCommDestroy(ncclComm_t comm) {
  if (const ncclResult_t failed = begin_outside_groups("ncclCommDestroy", comm); failed != ncclSuccess)
    return failed;
  // What it has enqueued goes through first.
  while (comm->of->has_work() && comm->of->state() == ncclSuccess) simgpu::make_progress();
  comm->of->leave(Member::State::destroyed);
  open_communicators.take(comm);
  delete comm;
  return ncclSuccess;
}

ncclResult_t ncclCommAbort(ncclComm_t comm) {
  const ncclResult_t result = begin("ncclCommAbort");
  if (!open_communicators.take(comm)) return refuse(ncclInvalidArgument, "ncclCommAbort of none that is open");
  group = {};
  comm->of->leave(Member::State::aborted);
  delete comm;
  return result;
}

ncclResult_t ncclCommGetAsyncError(ncclComm_t comm, ncclResult_t* error) {
  if (const ncclResult_t failed = begin_outside_groups("ncclCommGetAsyncError", comm); failed != ncclSuccess)
    return failed;
  *error = comm->of->state();
  return ncclSuccess;
}

ncclResult_t ncclGroupStart() {
  if (const ncclResult_t failed = begin("ncclGroupStart"); failed != ncclSuccess) return failed;
  ++group.depth;
  return ncclSuccess;
}

ncclResult_t ncclGroupEnd() {
  if (group.depth == 0) return refuse(ncclInvalidUsage, "ncclGroupEnd without ncclGroupStart");
  (void)begin("ncclGroupEnd");
  if (group.depth > 1) return --group.depth, ncclSuccess;
  return end_of_group();
}

ncclResult_t ncclSend(const void* data, std::size_t count, ncclDataType_t type, int to, ncclComm_t comm,
                      cudaStream_t stream) {
  if (const ncclResult_t failed = begin_with("ncclSend", comm); failed != ncclSuccess) return failed;
  const std::int64_t bytes = static_cast<std::int64_t>(count) * bytes_of(type);
  std::byte* const from = simgpu::device_range(data, static_cast<std::size_t>(bytes), "ncclSend: sendbuff");
  return take("ncclSend", comm, {Call::Kind::send, to, from, nullptr, bytes, stream});
}

ncclResult_t ncclRecv(void* data, std::size_t count, ncclDataType_t type, int from, ncclComm_t comm,
                      cudaStream_t stream) {
  if (const ncclResult_t failed = begin_with("ncclRecv", comm); failed != ncclSuccess) return failed;
  const std::int64_t bytes = static_cast<std::int64_t>(count) * bytes_of(type);
  std::byte* const to = simgpu::device_range(data, static_cast<std::size_t>(bytes), "ncclRecv: recvbuff");
  return take("ncclRecv", comm, {Call::Kind::receive, from, nullptr, to, bytes, stream});
}

ncclResult_t ncclAllReduce(const void* from, void* to, std::size_t count, ncclDataType_t type, ncclRedOp_t sum,
                           ncclComm_t comm, cudaStream_t stream) {
  if (const ncclResult_t failed = begin_with("ncclAllReduce", comm); failed != ncclSuccess) return failed;
  if (type != ncclInt64 || sum != ncclSum)
    return refuse(ncclInvalidArgument,
                  "ncclAllReduce of other than sums of 64-bit integers: their order is NCCL's");
  const std::size_t bytes = count * sizeof(std::int64_t);
  return take(
      "ncclAllReduce", comm,
      {Call::Kind::all_reduce, -1, simgpu::device_range(from, bytes, "ncclAllReduce: sendbuff"),
       simgpu::device_range(to, bytes, "ncclAllReduce: recvbuff"), static_cast<std::int64_t>(bytes), stream});
}

const char* ncclGetErrorString(ncclResult_t result) {
  switch (result) {
    case ncclSuccess:
      return "no error";
    case ncclUnhandledCudaError:
      return "unhandled cuda error (run with NCCL_DEBUG=INFO for details)";
    case ncclSystemError:
      return "unhandled system error (run with NCCL_DEBUG=INFO for details)";
    case ncclInternalError:
      return "internal error - please report this issue to the NCCL developers";
    case ncclInvalidArgument:
      return "invalid argument (run with NCCL_DEBUG=WARN for details)";
    case ncclInvalidUsage:
      return "invalid usage (run with NCCL_DEBUG=WARN for details)";
    case ncclRemoteError:
      return "remote process exited or there was a network error";
    case ncclInProgress:
      return "NCCL operation in progress";
    case ncclNumResults:
      break;
  }
  return "unknown result code";
}

const char* ncclGetLastError(ncclComm_t comm) {
  if (open_communicators.has(comm)) {
    if (std::string failure = comm->of->failure(); !failure.empty()) last_error = std::move(failure);
  }
  return last_error.c_str();
}

}  // extern "C"
