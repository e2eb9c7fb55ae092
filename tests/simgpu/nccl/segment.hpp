// Memory that the ranks of a communicator share: processes of one host, or threads of one process.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

namespace simgpu::nccl {

constexpr int most_ranks = 16;

enum class Operation : std::int32_t { send_and_receive, all_reduce };

// What both sides of a message say of it.
struct Header {
  Operation operation = Operation::send_and_receive;
  std::int64_t bytes = 0;
  std::int64_t number = 0;  // among the messages from the one rank to the other, from 1 on

  bool operator==(const Header&) const = default;
};
// "ncclSend of 12 bytes to rank 1, their message 3".
std::string describe_send(const Header& header, int to);
std::string describe_receive(const Header& header, int from);

// From one rank to another: one message at a time, in pieces.
struct Channel {
  static constexpr std::size_t capacity = std::size_t{1} << 16;
  std::atomic<std::int64_t> posted, taken;  // the last message that the sender began, that the receiver has
  Header header;
  std::atomic<std::int64_t> written, read;  // bytes of the message
  std::array<std::byte, capacity> bytes;
};

struct Member {
  enum class State : int { absent, here, destroyed, aborted };
  std::atomic<State> state;
  std::atomic<int> process;
  std::array<char, 128> gpu;  // its place, and the host as NCCL sees it
};

// All zero at first.
struct Page {
  std::atomic<int> ranks;  // as the first to come says
  std::atomic<int> joined;
  std::array<Member, most_ranks> members;
  std::atomic<int> failure_state;  // 0: none, 1: somebody writes it, 2: there
  std::atomic<int> failure_code;
  std::array<char, 512> failure;
  std::array<std::array<Channel, most_ranks>, most_ranks> channels;  // from, to
};

// A name that nobody has, and its memory, which is removed once all have come, or when this process ends.
std::string make_segment();
// Null if there is none of that name.
std::shared_ptr<Page> open_segment(const std::string& name);
// Those who have it open keep it.
void remove_segment(const std::string& name);

// The first failure is the communicator's.
void fail(Page& page, int code, const std::string& sentence);
// Empty: none.
std::string failure_of(const Page& page);

}  // namespace simgpu::nccl
