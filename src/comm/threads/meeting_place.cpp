#include "comm/threads/meeting_place.hpp"

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

void Program::fail(std::exception_ptr cause) {
  const std::lock_guard lock(mutex_);
  fail_locked(std::move(cause));
}

void Program::fail_locked(std::exception_ptr cause) {
  if (ended_) return;
  ended_ = true;
  cause_ = std::move(cause);
  changed_.notify_all();
}

void Program::leave() {
  const std::lock_guard lock(mutex_);
  --running_;
  end_if_deadlocked();
}

void Program::blocks() {
  ++blocked_;
  end_if_deadlocked();
}

void Program::end_if_deadlocked() {
  if (ended_ || running_ == 0 || blocked_ < running_) return;
  fail_locked(std::make_exception_ptr(ContractViolation(fmt::format(
      "all {} ranks that still run wait for another rank, so none can go on (a collective that not every "
      "rank of its group calls, or a receive without a send); compare what each rank calls",
      running_))));
}

void Program::rethrow_failure() {
  const std::lock_guard lock(mutex_);
  if (cause_) std::rethrow_exception(cause_);
}

MeetingPlace::MeetingPlace(std::shared_ptr<Program> program, int size)
    : program_(std::move(program)),
      size_(size),
      postings_(static_cast<std::size_t>(size)),
      mailboxes_(static_cast<std::size_t>(size) * static_cast<std::size_t>(size)) {}

bool MeetingPlace::meet(std::unique_lock<std::mutex>& lock, bool stop_when_ended) {
  if (stop_when_ended && program_->ended_) return false;
  if (++arrived_ == size_) {
    arrived_ = 0;
    ++meetings_;
    program_->unblock(size_ - 1);
    program_->changed_.notify_all();
    return true;
  }
  const std::uint64_t meeting = meetings_;
  program_->blocks();
  program_->changed_.wait(lock, [&] { return meetings_ != meeting || (stop_when_ended && program_->ended_); });
  return meetings_ != meeting;
}

void MeetingPlace::arrive() {
  std::unique_lock lock(program_->mutex_);
  if (!meet(lock, true)) throw_ended();
}

void MeetingPlace::depart() {
  std::unique_lock lock(program_->mutex_);
  meet(lock, false);
}

MeetingPlace::Mailbox& MeetingPlace::mailbox(GroupRank from, GroupRank to) {
  return mailboxes_[static_cast<std::size_t>(from.value * size_ + to.value)];
}

void MeetingPlace::send(std::span<const std::byte> data, GroupRank from, GroupRank to) {
  std::unique_lock lock(program_->mutex_);
  if (program_->ended_) throw_ended();
  Mailbox& box = mailbox(from, to);
  box.message = data;
  box.full = true;
  if (std::exchange(box.receiver_waits, false)) program_->unblock(1);
  program_->changed_.notify_all();
  program_->blocks();
  program_->changed_.wait(lock, [&] { return !box.full || program_->ended_; });
  if (std::exchange(box.full, false)) throw_ended();
}

void MeetingPlace::receive(std::span<std::byte> data, GroupRank from, GroupRank to) {
  std::unique_lock lock(program_->mutex_);
  if (program_->ended_) throw_ended();
  Mailbox& box = mailbox(from, to);
  if (!box.full) {
    box.receiver_waits = true;
    program_->blocks();
    program_->changed_.wait(lock, [&] { return box.full || program_->ended_; });
    if (!box.full) throw_ended();
  }
  // Copied under the lock, so that a sender cannot unwind meanwhile.
  const std::size_t sent_bytes = box.message.size();
  if (sent_bytes == data.size()) detail::copy_block(box.message.data(), data.data(), std::ssize(data));
  box.full = false;
  program_->unblock(1);  // the sender
  program_->changed_.notify_all();
  if (sent_bytes != data.size()) {
    throw MpiError(
        fmt::format("rank {} sent {} bytes to rank {}, which expected {} (the message does not fit); both "
                    "must agree on the size before",
                    from.value, sent_bytes, to.value, data.size()));
  }
}

}  // namespace switchyard::comm::threads
