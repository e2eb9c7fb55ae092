// One message of a rank, which goes on while the device works.
#pragma once

#include "simgpu/nccl/segment.hpp"

namespace simgpu::nccl {

class Transfer {
 public:
  enum class Direction { send, receive };

  // `data` is readable, and lives until the message has gone through.
  Transfer(Direction direction, int rank, int peer, Header header, std::byte* data)
      : direction_(direction), rank_(rank), peer_(peer), header_(header), data_(data) {}

  bool has_ended() const { return has_ended_; }
  int peer() const { return peer_; }
  // "rank 0 in ncclSend of 12 bytes to rank 1, ...".
  std::string describe() const;
  // What can be done now. Where the two sides say different things of a message, the communicator has failed.
  void advance(Page& page);

 private:
  void send(Channel& channel);
  void receive(Page& page, Channel& channel);

  Direction direction_;
  int rank_, peer_;
  Header header_;
  std::byte* data_;
  bool has_begun_ = false;
  bool has_ended_ = false;
};

}  // namespace simgpu::nccl
