// What moves data as large as a batch between ranks: rows in the memory of a device::Context.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "base/ids.hpp"
#include "base/span.hpp"
#include "comm/row_layout.hpp"
#include "device/context.hpp"

namespace switchyard::comm {

// The second of two planes. The Communicator (comm/communicator.hpp) carries control: counts, agreement, the
// handshake, checkpoints; host memory, and a call has ended when it returns. Here rows lie where the context
// computes, and a call is one more operation in the order of its work: on the CPU it has ended when it returns;
// a device may only enqueue it, and buffers stay as they are until its queue has passed.
//
// Every method but rank(), size(), look() and give_up() is collective over the group and called in the same
// order on every rank, also in relation to the calls of the group's communicator. Counts are the host's, and
// known to all whom they concern: they have travelled on the control plane before. Buffers are the caller's and
// must not overlap where not said; zero counts are allowed everywhere. Layouts that do not fit the group are a
// ContractViolation. Nothing is allocated once a shape has been seen. Used by one thread.
//
// Where calls are only enqueued, a rank that others wait for in vain shows in no call: whoever waits for the
// context asks look() meanwhile (device::Context::set_waits), and what gives up waiting calls give_up().
//
// Integers only are added up, as on the control plane: a sum of floats would depend on the group.
class DataPlane {
 public:
  virtual ~DataPlane() = default;
  DataPlane(const DataPlane&) = delete;
  DataPlane& operator=(const DataPlane&) = delete;

  virtual GroupRank rank() const = 0;
  virtual int size() const = 0;

  // To rank r go send_layout.rows[r] rows of `send`; recv_layout.rows[r] rows come from it, which must be what
  // it sends. The block of a rank to itself is copied, or left alone if it is in place already.
  //
  // `ready` marks where in compute() all of `send` was written and `recv` was free: what has been enqueued
  // behind that goes on while rows travel. Null, or marking nothing: all that was enqueued so far comes first.
  template <class T>
  void all_to_all_rows(device::Context& context, const T* send, RowLayout send_layout, T* recv,
                       RowLayout recv_layout, index_t row_elements, const device::Event* ready = nullptr) {
    do_all_to_all_rows(context, reinterpret_cast<const std::byte*>(send), send_layout,
                       reinterpret_cast<std::byte*>(recv), recv_layout, row_elements * element_bytes<T>(),
                       overlaps_ && ready != nullptr && *ready ? ready : nullptr);
  }
  // Whether `ready` is heeded; else it counts as null. Bits are the same.
  void set_overlap(bool overlaps) { overlaps_ = overlaps; }
  // Each rank's rows (mine = rows[rank] rows of row_elements), in rank order, to every rank. `all` holds the
  // sum of rows. `mine` may be the place in `all` where it belongs.
  template <class T>
  void all_gather_rows(device::Context& context, Span<const T> mine, Span<T> all, Span<const index_t> rows,
                       index_t row_elements) {
    do_all_gather_rows(context, std::as_bytes(mine), std::as_writable_bytes(all), rows,
                       row_elements * element_bytes<T>());
  }
  // In place. Exact, so any order will do.
  void all_reduce_sum(device::Context& context, Span<std::int64_t> values) {
    do_all_reduce_sum(context, values);
  }

  // Throws NcclError if what was enqueued here cannot end any more. Whether the device has come to an operation
  // of this plane that it does not end alone, so that who waits for the device waits for other ranks. Local.
  virtual bool look() { return false; }
  // What was enqueued here is given up, so that no wait for it lasts; the plane is of no use afterwards. Local;
  // any thread may call it.
  virtual void give_up() noexcept {}

 protected:
  DataPlane() = default;

  virtual void do_all_to_all_rows(device::Context& context, const std::byte* send, RowLayout send_layout,
                                  std::byte* recv, RowLayout recv_layout, index_t row_bytes,
                                  const device::Event* ready) = 0;
  virtual void do_all_gather_rows(device::Context& context, Span<const std::byte> mine, Span<std::byte> all,
                                  Span<const index_t> rows, index_t row_bytes) = 0;
  virtual void do_all_reduce_sum(device::Context& context, Span<std::int64_t> values) = 0;

 private:
  template <class T>
  static constexpr index_t element_bytes() {
    static_assert(std::is_trivially_copyable_v<T>);
    return size_of<T>;
  }

  bool overlaps_ = true;
};

}  // namespace switchyard::comm
