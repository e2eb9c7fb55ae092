#include "simgpu/nccl/communicator.hpp"

#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <utility>

namespace simgpu::nccl {
namespace {

// How NCCL tells GPUs apart: the host, or what NCCL_HOSTID says instead, and the place in it.
std::string my_gpu() {
  const char* const host_id = std::getenv("NCCL_HOSTID");
  int device = 0;
  std::array<char, 64> place{};
  if (cudaGetDevice(&device) != cudaSuccess || cudaDeviceGetPCIBusId(place.data(), 64, device) != cudaSuccess)
    mistake("ncclCommInitRankConfig without a current device");
  return fmt::format("{} of host {}", place.data(), host_id != nullptr ? host_id : "here");
}

bool may_share_a_gpu() {
  const char* const allowed = std::getenv("NCCL_MULTI_RANK_GPU_ENABLE");
  return library_version() >= 23000 && allowed != nullptr && std::string_view(allowed) == "1";
}

}  // namespace

int library_version() {
  constexpr int usual_version = 22809;
  const char* const other = std::getenv("SWITCHYARD_SIMGPU_NCCL_VERSION");
  return other != nullptr ? std::atoi(other) : usual_version;
}

Communicator::Communicator(std::shared_ptr<Page> page, std::string name, int ranks, int rank, bool blocks)
    : page_(std::move(page)), name_(std::move(name)), rank_(rank), ranks_(ranks), blocks_(blocks) {
  const std::string gpu = my_gpu();
  std::copy_n(gpu.begin(), std::min(gpu.size(), member(rank).gpu.size() - 1), member(rank).gpu.begin());
  member(rank).process = ::getpid();
  auto absent = Member::State::absent;
  if (!member(rank).state.compare_exchange_strong(absent, Member::State::here))
    fail(ncclInvalidUsage, fmt::format("two ranks say that they are rank {}", rank));
  int nobody = 0;
  if (!page_->ranks.compare_exchange_strong(nobody, ranks) && nobody != ranks)
    fail(ncclInvalidUsage, fmt::format("rank {} says {} ranks, another says {}", rank, ranks, nobody));
  ++page_->joined;
}

bool Communicator::has_joined() {
  if (is_complete_) return true;
  look_for_dead_ranks();
  if (page_->joined < ranks_) return false;
  remove_segment(name_);
  for (int r = 0; r < rank_ && !may_share_a_gpu(); ++r) {
    if (std::strcmp(member(r).gpu.data(), member(rank_).gpu.data()) == 0)
      fail(ncclInvalidUsage, fmt::format("Duplicate GPU detected: rank {} and rank {} both on {}", r, rank_,
                                         member(rank_).gpu.data()));
  }
  is_complete_ = true;
  return true;
}

std::string Communicator::why_busy() const {
  if (!is_complete_) return "not all ranks have come yet (ask ncclCommGetAsyncError)";
  if (!pending_.empty()) return "the call before goes on (ask ncclCommGetAsyncError)";
  return {};
}

void Communicator::submit(std::vector<Call> calls) {
  if (blocks_) return enqueue(calls);
  pending_ = std::move(calls);
  asked_ = 0;
}

ncclResult_t Communicator::state() {
  look_for_dead_ranks();
  if (page_->failure_state == 2) return static_cast<ncclResult_t>(page_->failure_code.load());
  if (!has_joined()) return ncclInProgress;
  if (pending_.empty()) return ncclSuccess;
  if (++asked_ == 1) return ncclInProgress;
  enqueue(std::exchange(pending_, {}));
  return ncclSuccess;
}

void Communicator::leave(Member::State how) {
  has_left_ = true;
  member(rank_).state = how;
}

void Communicator::enqueue(const std::vector<Call>& calls) {
  if (calls.empty()) return;
  std::shared_ptr<Work> work = make_work(calls);
  ++works_under_way_;
  enqueue_until_done(calls.front().stream, "nccl", [self = shared_from_this(), work] {
    const bool ended = self->advance(*work);
    if (ended) --self->works_under_way_;
    return ended;
  });
}

std::unique_ptr<Communicator::Work> Communicator::make_work(const std::vector<Call>& calls) {
  auto work = std::make_unique<Work>();
  for (const Call& call : calls) {
    const auto peer = static_cast<std::size_t>(call.peer);
    switch (call.kind) {
      case Call::Kind::send:
        work->transfers.emplace_back(Transfer::Direction::send, rank_, call.peer,
                                     Header{Operation::send_and_receive, call.bytes, ++sent_[peer]}, call.from);
        break;
      case Call::Kind::receive:
        work->transfers.emplace_back(Transfer::Direction::receive, rank_, call.peer,
                                     Header{Operation::send_and_receive, call.bytes, ++received_[peer]},
                                     call.to);
        break;
      case Call::Kind::all_reduce:
        add_reduction(*work, call);
        break;
    }
  }
  return work;
}

// Everybody sends everybody what it has, and adds up for itself.
void Communicator::add_reduction(Work& work, const Call& call) {
  work.sum_to = call.to;
  work.received.resize(static_cast<std::size_t>(ranks_));
  for (int r = 0; r < ranks_; ++r) {
    const auto peer = static_cast<std::size_t>(r);
    work.received[peer].resize(static_cast<std::size_t>(call.bytes) / sizeof(std::int64_t));
    auto* const to = reinterpret_cast<std::byte*>(work.received[peer].data());
    // A GPU sends to itself, too, in the order of the stream.
    work.transfers.emplace_back(Transfer::Direction::send, rank_, r,
                                Header{Operation::all_reduce, call.bytes, ++sent_[peer]}, call.from);
    work.transfers.emplace_back(Transfer::Direction::receive, rank_, r,
                                Header{Operation::all_reduce, call.bytes, ++received_[peer]}, to);
  }
}

bool Communicator::advance(Work& work) {
  if (has_left_) return true;
  // As on a GPU: after a failure it goes on until it is aborted.
  if (page_->failure_state != 0) return false;
  bool all_have_ended = true;
  for (Transfer& transfer : work.transfers) {
    if (transfer.has_ended()) continue;
    const Member::State of_peer = member(transfer.peer()).state;
    transfer.advance(*page_);
    if (transfer.has_ended()) continue;
    all_have_ended = false;
    if (of_peer != Member::State::here) look_for(transfer);
  }
  if (!all_have_ended) {
    look_for_dead_ranks();
    return false;
  }
  add_up(work);
  return true;
}

void Communicator::add_up(const Work& work) {
  if (work.received.empty()) return;
  std::vector<std::int64_t> sums(work.received.front().size(), 0);
  for (const std::vector<std::int64_t>& of_rank : work.received) {
    for (std::size_t i = 0; i < sums.size(); ++i) sums[i] += of_rank[i];
  }
  std::memcpy(work.sum_to, sums.data(), sums.size() * sizeof(std::int64_t));
}

void Communicator::look_for(const Transfer& transfer) {
  const Member::State state = member(transfer.peer()).state;
  if (state == Member::State::destroyed)
    fail(ncclRemoteError,
         fmt::format("{}, but rank {} has destroyed its communicator", transfer.describe(), transfer.peer()));
}

// Some times a second: it asks the system for each.
void Communicator::look_for_dead_ranks() {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  const std::int64_t now_ms = std::chrono::duration_cast<std::chrono::milliseconds>(now).count();
  constexpr std::int64_t pause_ms = 20;
  if (now_ms - looked_ms_ < pause_ms) return;
  looked_ms_ = now_ms;
  for (int r = 0; r < ranks_; ++r) {
    const Member::State state = member(r).state;
    if (state == Member::State::aborted) {
      fail(ncclRemoteError, fmt::format("rank {} has aborted its communicator", r));
    } else if (state == Member::State::here && ::kill(member(r).process, 0) != 0 && errno == ESRCH) {
      fail(ncclRemoteError, fmt::format("rank {} is gone (process {})", r, member(r).process.load()));
    }
  }
}

}  // namespace simgpu::nccl
