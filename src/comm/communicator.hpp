// Messages between the ranks of one group.
//
// comm: Communicator and its implementations (local/, threads/, mpi/), typed collectives, the plane of
// batch-sized data (DataPlane), agreement, the watchdog, who shares a node. Nothing here knows what the bytes
// mean.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "base/error.hpp"
#include "base/ids.hpp"
#include "base/span.hpp"
#include "base/timeline.hpp"
#include "comm/operation.hpp"
#include "comm/row_layout.hpp"

namespace switchyard::comm {

class Watchdog;

// A group of ranks. Every method but rank(), size(), set_phase(), set_watchdog(), set_timeline() and abort() is
// collective over the group unless it says otherwise, blocking, and called in the same order on every rank.
// Buffers are the caller's, must not overlap where not said, and are free again when the call returns. Zero
// counts are allowed everywhere. A failure of the library throws MpiError; a rank that is gone ends the process
// through the launcher or the watchdog.
//
// The public methods check what the caller gave, tag the operation and tell the watchdog; the do_ methods
// below, one set per implementation, move the bytes. Used by one thread.
//
// Floating-point sums are not offered: their order would depend on the group. Gather the partials and add them
// in a fixed order (ops/reduce.hpp).
class Communicator {
 public:
  virtual ~Communicator() = default;
  Communicator(const Communicator&) = delete;
  Communicator& operator=(const Communicator&) = delete;

  virtual GroupRank rank() const = 0;
  virtual int size() const = 0;
  bool is_root() const { return rank().value == 0; }

  // What the next operations belong to: goes into the watchdog's message and, in checked builds, into every
  // collective, where a mismatch between ranks is a ContractViolation that names both sides. Local. A phase's
  // name is at most 23 characters; more are cut off.
  void set_phase(index_t step, std::string_view phase);

  // `watchdog` (may be null) sees every operation of this group, and of groups split off later; it must outlive
  // them. Local.
  void set_watchdog(Watchdog* watchdog) { watchdog_ = watchdog; }
  Watchdog* watchdog() const { return watchdog_; }

  // `timeline` (null: nobody) is told of every operation of this rank in a step, in this group and in all that
  // were or will be split off it; it must outlive them, or be taken away. Local.
  void set_timeline(Timeline* timeline) { *timeline_ = timeline; }
  Timeline* timeline() const { return *timeline_; }

  void barrier();

  template <class T>
  void broadcast(std::span<T> data, GroupRank root) {
    broadcast_bytes(std::as_writable_bytes(data), root);
  }
  // `text` of rank `root` to every rank; the others need not know its length.
  void broadcast(std::string& text, GroupRank root = GroupRank(0));
  // Each rank's rows (mine = rows[rank] rows of row_elements), in rank order, to every rank. `all` holds the
  // sum of rows. `mine` may be the place in `all` where it belongs.
  template <class T>
  void all_gather_rows(std::span<const T> mine, std::span<T> all, Span<const index_t> rows,
                       index_t row_elements) {
    all_gather_bytes(std::as_bytes(mine), std::as_writable_bytes(all), rows, row_elements * element_bytes<T>());
  }
  // One value (or a fixed-size block) per rank. Allocates its result; not for the path of a batch.
  template <class T>
  std::vector<T> all_gather(const T& mine) {
    Vector<T> all(size());
    const Vector<index_t> rows(size(), 1);
    all_gather_bytes(std::as_bytes(Span<const T>(&mine, 1)), std::as_writable_bytes(Span<T>(all)), rows,
                     element_bytes<T>());
    return all;
  }
  // send[r] goes to rank r; recv[r] came from rank r. `send` and `recv` hold size() blocks of block_elements.
  template <class T>
  void all_to_all(std::span<const T> send, std::span<T> recv, index_t block_elements) {
    all_to_all_bytes(std::as_bytes(send), std::as_writable_bytes(recv), block_elements * element_bytes<T>());
  }
  // Variable rows: to rank r go send_layout.rows[r] rows of `send`; recv_layout.rows[r] rows come from it,
  // which must be what it sends. The block of a rank to itself is copied, or left alone if it is in place
  // already.
  template <class T>
  void all_to_all_rows(const T* send, RowLayout send_layout, T* recv, RowLayout recv_layout,
                       index_t row_elements) {
    all_to_all_rows_bytes(reinterpret_cast<const std::byte*>(send), send_layout,
                          reinterpret_cast<std::byte*>(recv), recv_layout, row_elements * element_bytes<T>());
  }
  // In place. Exact, so any order will do.
  void all_reduce_sum(Span<std::int64_t> values) { all_reduce(values, Operation::all_reduce_sum); }
  void all_reduce_max(Span<std::int64_t> values) { all_reduce(values, Operation::all_reduce_max); }

  // From one rank to another; only those two call it. Blocking (a send may return before its message is
  // received), in order between a pair, never to oneself. A message of another size than the receiver's buffer
  // is an MpiError there.
  template <class T>
  void send(std::span<const T> data, GroupRank to) {
    send_bytes(std::as_bytes(data), to);
  }
  template <class T>
  void receive(std::span<T> data, GroupRank from) {
    receive_bytes(std::as_writable_bytes(data), from);
  }

  // A new group of the ranks that give the same colour (0 or more), ordered by rank. It inherits phase and
  // watchdog.
  std::unique_ptr<Communicator> split(int colour);

  // Ends every rank of the program with `code`, at once, without waiting for anybody. Local; never returns.
  [[noreturn]] virtual void abort(ExitCode code) = 0;

 protected:
  Communicator() = default;

  // Called at the start of each collective, with the same tag on every rank of a correct program. A checking
  // implementation compares the tags, at the latest before it moves the first byte.
  virtual void announce(const OperationTag& tag) = 0;

  // Arguments are valid when these are called: sizes match the group, no row is negative, row_bytes > 0.
  virtual void do_barrier() = 0;
  virtual void do_broadcast(Span<std::byte> data, GroupRank root) = 0;
  virtual void do_all_gather(Span<const std::byte> mine, Span<std::byte> all, Span<const index_t> rows,
                             index_t row_bytes) = 0;
  virtual void do_all_to_all(Span<const std::byte> send, Span<std::byte> recv, index_t block_bytes) = 0;
  virtual void do_all_to_all_rows(const std::byte* send, RowLayout send_layout, std::byte* recv,
                                  RowLayout recv_layout, index_t row_bytes) = 0;
  virtual void do_all_reduce(Span<std::int64_t> values, Operation sum_or_max) = 0;
  virtual void do_send(Span<const std::byte> data, GroupRank to) = 0;
  virtual void do_receive(Span<std::byte> data, GroupRank from) = 0;
  virtual std::unique_ptr<Communicator> do_split(int colour) = 0;

 private:
  class Call;  // one operation: tags it and tells the watchdog, from its construction to its end

  Timeline* open_timeline() const;  // null: nobody is to be told of an operation
  void broadcast_bytes(Span<std::byte> data, GroupRank root);
  void all_gather_bytes(Span<const std::byte> mine, Span<std::byte> all, Span<const index_t> rows,
                        index_t row_bytes);
  void all_to_all_bytes(Span<const std::byte> send, Span<std::byte> recv, index_t block_bytes);
  void all_to_all_rows_bytes(const std::byte* send, RowLayout send_layout, std::byte* recv,
                             RowLayout recv_layout, index_t row_bytes);
  void all_reduce(Span<std::int64_t> values, Operation sum_or_max);
  void send_bytes(Span<const std::byte> data, GroupRank to);
  void receive_bytes(Span<std::byte> data, GroupRank from);

  template <class T>
  static constexpr index_t element_bytes() {
    static_assert(std::is_trivially_copyable_v<T>);
    return size_of<T>;
  }

  index_t step_ = 0;
  index_t sequence_ = 0;
  PhaseName phase_{"start"};
  Watchdog* watchdog_ = nullptr;
  std::shared_ptr<Timeline*> timeline_ = std::make_shared<Timeline*>(nullptr);  // of this rank, in all groups
};

}  // namespace switchyard::comm
