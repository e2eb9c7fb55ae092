#include "simgpu/nccl/transfer.hpp"

#include <fmt/format.h>
#include <nccl.h>

#include <algorithm>
#include <cstring>

namespace simgpu::nccl {
namespace {

std::size_t place_of(std::int64_t byte) { return static_cast<std::size_t>(byte) % Channel::capacity; }

// The next piece that lies in one stretch of the channel.
std::size_t piece_bytes(std::int64_t from, std::int64_t most) {
  return std::min(static_cast<std::size_t>(most), Channel::capacity - place_of(from));
}

}  // namespace

std::string Transfer::describe() const {
  return fmt::format(
      "rank {} in {}", rank_,
      direction_ == Direction::send ? describe_send(header_, peer_) : describe_receive(header_, peer_));
}

void Transfer::advance(Page& page) {
  const auto from = static_cast<std::size_t>(direction_ == Direction::send ? rank_ : peer_);
  const auto to = static_cast<std::size_t>(direction_ == Direction::send ? peer_ : rank_);
  Channel& channel = page.channels[from][to];
  if (direction_ == Direction::send) {
    send(channel);
  } else {
    receive(page, channel);
  }
}

// It has ended when the receiver has all: a message that nobody wants is no silent success.
void Transfer::send(Channel& channel) {
  if (!has_begun_) {
    if (channel.taken != header_.number - 1) return;
    channel.header = header_;
    channel.written = channel.read = 0;
    channel.posted = header_.number;
    has_begun_ = true;
  }
  for (std::int64_t at = channel.written; at < header_.bytes; channel.written = at) {
    const std::int64_t room = static_cast<std::int64_t>(Channel::capacity) - (at - channel.read);
    if (room == 0) return;
    const std::size_t bytes = piece_bytes(at, std::min(room, header_.bytes - at));
    std::memcpy(channel.bytes.data() + place_of(at), data_ + at, bytes);
    at += static_cast<std::int64_t>(bytes);
  }
  has_ended_ = channel.taken >= header_.number;
}

void Transfer::receive(Page& page, Channel& channel) {
  if (channel.taken != header_.number - 1 || channel.posted != header_.number) return;
  if (!(channel.header == header_)) {
    return fail(page, ncclInvalidUsage,
                fmt::format("{}, but rank {} in {}", describe(), peer_, describe_send(channel.header, rank_)));
  }
  for (std::int64_t at = channel.read; at < header_.bytes; channel.read = at) {
    const std::int64_t there = channel.written - at;
    if (there == 0) return;
    const std::size_t bytes = piece_bytes(at, there);
    std::memcpy(data_ + at, channel.bytes.data() + place_of(at), bytes);
    at += static_cast<std::int64_t>(bytes);
  }
  has_ended_ = true;
  channel.taken = header_.number;
}

}  // namespace simgpu::nccl
