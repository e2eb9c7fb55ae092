#include "comm/threads/rendezvous.hpp"

#include <fmt/format.h>

#include <utility>

#include "comm/detail/copy_block.hpp"

namespace switchyard::comm::threads {
namespace {

[[noreturn]] void throw_ended() {
  throw MpiError(
      "this rank stopped waiting for the others (another rank has failed); the first failure is the one to "
      "look at");
}

}  // namespace

void ThreadWorld::fail(std::exception_ptr cause) {
  const std::lock_guard lock(mutex_);
  fail_locked(std::move(cause));
}

void ThreadWorld::fail_locked(std::exception_ptr cause) {
  if (ended_) return;
  ended_ = true;
  cause_ = std::move(cause);
  changed_.notify_all();
}

void ThreadWorld::leave() {
  const std::lock_guard lock(mutex_);
  --running_;
  end_if_deadlocked();
}

void ThreadWorld::blocks() {
  ++blocked_;
  end_if_deadlocked();
}

void ThreadWorld::end_if_deadlocked() {
  if (ended_ || running_ == 0 || blocked_ < running_) return;
  fail_locked(std::make_exception_ptr(ContractViolation(fmt::format(
      "all {} ranks that still run wait for another rank, so none can go on (a collective that not every "
      "rank of its group calls, or a receive without a send); compare what each rank calls",
      running_))));
}

void ThreadWorld::rethrow_failure() {
  const std::lock_guard lock(mutex_);
  if (cause_) std::rethrow_exception(cause_);
}

Rendezvous::Rendezvous(std::shared_ptr<ThreadWorld> world, int size)
    : world_(std::move(world)), size_(size), postings_(size), mailboxes_(index_t{size} * size) {}

bool Rendezvous::meet(std::unique_lock<std::mutex>& lock, bool stop_when_ended) {
  if (stop_when_ended && world_->ended_) return false;
  if (++arrived_ == size_) {
    arrived_ = 0;
    ++meetings_;
    world_->unblock(size_ - 1);
    world_->changed_.notify_all();
    return true;
  }
  const std::uint64_t meeting = meetings_;
  world_->blocks();
  world_->changed_.wait(lock, [&] { return meetings_ != meeting || (stop_when_ended && world_->ended_); });
  return meetings_ != meeting;
}

void Rendezvous::arrive() {
  std::unique_lock lock(world_->mutex_);
  if (!meet(lock, true)) throw_ended();
}

void Rendezvous::depart() {
  std::unique_lock lock(world_->mutex_);
  meet(lock, false);
}

Rendezvous::Mailbox& Rendezvous::mailbox(GroupRank from, GroupRank to) {
  return mailboxes_[from.value * size_ + to.value];
}

void Rendezvous::send(Span<const std::byte> data, GroupRank from, GroupRank to) {
  std::unique_lock lock(world_->mutex_);
  if (world_->ended_) throw_ended();
  Mailbox& box = mailbox(from, to);
  box.message = data;
  box.full = true;
  if (std::exchange(box.receiver_waits, false)) world_->unblock(1);
  world_->changed_.notify_all();
  world_->blocks();
  world_->changed_.wait(lock, [&] { return !box.full || world_->ended_; });
  if (std::exchange(box.full, false)) throw_ended();
}

void Rendezvous::receive(Span<std::byte> data, GroupRank from, GroupRank to) {
  std::unique_lock lock(world_->mutex_);
  if (world_->ended_) throw_ended();
  Mailbox& box = mailbox(from, to);
  if (!box.full) {
    box.receiver_waits = true;
    world_->blocks();
    world_->changed_.wait(lock, [&] { return box.full || world_->ended_; });
    if (!box.full) throw_ended();
  }
  // Copied under the lock, so that a sender cannot unwind meanwhile.
  const std::size_t sent_bytes = box.message.size();
  if (sent_bytes == data.size()) detail::copy_block(box.message.data(), data.data(), std::ssize(data));
  box.full = false;
  world_->unblock(1);  // the sender
  world_->changed_.notify_all();
  if (sent_bytes != data.size()) {
    throw MpiError(
        fmt::format("rank {} sent {} bytes to rank {}, which expected {} (the message does not fit); both "
                    "must agree on the size before",
                    from.value, sent_bytes, to.value, data.size()));
  }
}

}  // namespace switchyard::comm::threads
