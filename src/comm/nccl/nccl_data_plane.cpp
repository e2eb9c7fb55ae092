// Rows from GPU to GPU, in the order of the device's work.
#include <cuda_runtime_api.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <numeric>

#include "base/timeline.hpp"
#include "comm/detail/layout_checks.hpp"
#include "comm/detail/own_block.hpp"
#include "comm/nccl/nccl.hpp"
#include "comm/nccl/nccl_communicator.hpp"

namespace switchyard::comm::nccl {
namespace {

class NcclDataPlane final : public DataPlane {
 public:
  explicit NcclDataPlane(std::unique_ptr<NcclCommunicator> comm) : comm_(std::move(comm)) {
    for (Enqueued& slot : enqueued_) slot = {device::Event::cuda(), device::Event::cuda(), {}};
  }
  ~NcclDataPlane() override;

  GroupRank rank() const override { return comm_->group().rank(); }
  int size() const override { return comm_->group().size(); }

  bool look() override;
  void give_up() noexcept override { comm_->give_up(); }

 private:
  void do_all_to_all_rows(device::Context& context, const std::byte* send, RowLayout send_layout,
                          std::byte* recv, RowLayout recv_layout, index_t row_bytes,
                          const device::Event* ready) override;
  void do_all_gather_rows(device::Context& context, Span<const std::byte> mine, Span<std::byte> all,
                          Span<const index_t> rows, index_t row_bytes) override;
  void do_all_reduce_sum(device::Context& context, Span<std::int64_t> values) override;

  // Has its place until so many more have come: then only the device knows of it.
  struct Enqueued {
    device::Event come_to;  // when it was enqueued
    device::Event done;
    Request request;
  };
  static constexpr index_t most_enqueued = 32;

  template <class Body>
  void enqueue(device::Context& context, Request request, const Body& body,
               const device::Event* ready = nullptr);
  Enqueued& place_of(index_t number) { return enqueued_[as_size(number % most_enqueued)]; }

  std::unique_ptr<NcclCommunicator> comm_;
  std::array<Enqueued, most_enqueued> enqueued_;
  index_t last_ = 0;      // number of the last request; the first is 1
  index_t over_ = 0;      // the last one that is known to have ended
  bool is_sound_ = true;  // no call has failed
};

// Sends and receives that go on at the same time. Ranks make them in one order: by peer, a send first.
class Exchange {
 public:
  Exchange(const NcclCommunicator& comm, void* stream)
      : comm_(comm), stream_(static_cast<cudaStream_t>(stream)) {
    comm_.check(functions().group_start(), "ncclGroupStart", "sends and receives");
  }
  // Also where a call between has thrown: NCCL waits for the end of the group.
  ~Exchange() {
    if (is_open_) (void)functions().group_end();
  }
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;

  // `bytes` of `rows` from `first_byte` on; none of null.
  void send(const std::byte* rows, index_t first_byte, index_t bytes, int to) {
    if (bytes == 0) return;
    comm_.check(functions().send(rows + first_byte, as_size(bytes), ncclUint8, to, comm_.handle(), stream_),
                "ncclSend", "{} bytes to rank {}", bytes, to);
  }
  void receive(std::byte* rows, index_t first_byte, index_t bytes, int from) {
    if (bytes == 0) return;
    comm_.check(
        functions().receive(rows + first_byte, as_size(bytes), ncclUint8, from, comm_.handle(), stream_),
        "ncclRecv", "{} bytes from rank {}", bytes, from);
  }
  void end() {
    is_open_ = false;
    comm_.check(functions().group_end(), "ncclGroupEnd", "sends and receives");
  }

 private:
  const NcclCommunicator& comm_;
  cudaStream_t stream_;
  bool is_open_ = true;
};

// In good order if the device has come past all messages. If not, somebody has failed.
NcclDataPlane::~NcclDataPlane() {
  try {
    if (is_sound_ && place_of(last_).done.is_over()) comm_->finish();
  } catch (const Error&) {  // of the device, which has failed before: what is left is aborted
  }
}

// The one place where computing and messages wait for each other. `body` asks NCCL for what it gets a stream
// for, behind `ready` where that is given.
template <class Body>
void NcclDataPlane::enqueue(device::Context& context, Request request, const Body& body,
                            const device::Event* ready) {
  const Timeline::Clock::time_point begin = Timeline::Clock::now();
  is_sound_ = false;
  request.number = ++last_;
  Enqueued& slot = place_of(last_);
  slot.request = request;
  slot.come_to.record(context.compute());
  context.messages().wait_for(ready != nullptr ? *ready : slot.come_to);
  body(context.messages().stream());
  comm_->settle(name(request.operation), request);
  slot.done.record(context.messages());
  context.compute().wait_for(slot.done);
  is_sound_ = true;
  Timeline* const timeline = comm_->group().timeline();
  if (timeline != nullptr && timeline->is_in_step()) {
    timeline->add_operation(static_cast<int>(request.operation), begin, Timeline::Clock::now(),
                            request.sent_bytes);
  }
}

bool NcclDataPlane::look() {
  over_ = std::max(over_, last_ - most_enqueued);
  while (over_ < last_ && place_of(over_ + 1).done.is_over()) ++over_;
  if (over_ == last_) return false;
  const Enqueued& next = place_of(over_ + 1);
  is_sound_ = false;
  (void)comm_->look(name(next.request.operation), next.request);
  is_sound_ = true;
  return next.come_to.is_over();
}

index_t rows_of_others(RowLayout layout, GroupRank self) {
  return std::accumulate(layout.rows.begin(), layout.rows.end(), index_t{0}) - layout.rows[self];
}

void NcclDataPlane::do_all_to_all_rows(device::Context& context, const std::byte* send, RowLayout send_layout,
                                       std::byte* recv, RowLayout recv_layout, index_t row_bytes,
                                       const device::Event* ready) {
  detail::require_exchange({rank(), size()}, send_layout, recv_layout, row_bytes);
  const Request request{.operation = Operation::all_to_all_rows,
                        .sent_bytes = rows_of_others(send_layout, rank()) * row_bytes,
                        .received_bytes = rows_of_others(recv_layout, rank()) * row_bytes};
  // Not by NCCL, and beside it.
  const auto copy_own = [&] {
    detail::copy_own_block(context, rank(), send, send_layout, recv, recv_layout, row_bytes);
  };
  if (request.sent_bytes + request.received_bytes == 0) return copy_own();
  const auto exchange_rows = [&](void* stream) {
    copy_own();
    Exchange exchange(*comm_, stream);
    for (int r = 0; r < size(); ++r) {
      if (r == rank().value) continue;
      exchange.send(send, send_layout.first_row[r] * row_bytes, send_layout.rows[r] * row_bytes, r);
      exchange.receive(recv, recv_layout.first_row[r] * row_bytes, recv_layout.rows[r] * row_bytes, r);
    }
    exchange.end();
  };
  enqueue(context, request, exchange_rows, ready);
}

void NcclDataPlane::do_all_gather_rows(device::Context& context, Span<const std::byte> mine,
                                       Span<std::byte> all, Span<const index_t> rows, index_t row_bytes) {
  detail::require_gather({rank(), size()}, mine, all, rows, row_bytes);
  const Request request{.operation = Operation::all_gather_rows,
                        .sent_bytes = std::ssize(mine) * (size() - 1),
                        .received_bytes = std::ssize(all) - std::ssize(mine)};
  const auto copy_own = [&] {
    detail::copy_within(context, mine.data(), all.data() + detail::bytes_before(rank(), rows, row_bytes),
                        std::ssize(mine));
  };
  if (request.sent_bytes + request.received_bytes == 0) return copy_own();
  enqueue(context, request, [&](void* stream) {
    copy_own();
    Exchange exchange(*comm_, stream);
    index_t first = 0;
    for (int r = 0; r < size(); ++r) {
      const index_t bytes = rows[r] * row_bytes;
      if (r != rank().value) {
        exchange.send(mine.data(), 0, std::ssize(mine), r);
        exchange.receive(all.data(), first, bytes, r);
      }
      first += bytes;
    }
    exchange.end();
  });
}

void NcclDataPlane::do_all_reduce_sum(device::Context& context, Span<std::int64_t> values) {
  if (size() == 1 || values.empty()) return;
  const auto bytes = static_cast<index_t>(values.size_bytes());
  const Request request{.operation = Operation::all_reduce_sum, .sent_bytes = bytes, .received_bytes = bytes};
  enqueue(context, request, [&](void* stream) {
    comm_->check(functions().all_reduce(values.data(), values.data(), values.size(), ncclInt64, ncclSum,
                                        comm_->handle(), static_cast<cudaStream_t>(stream)),
                 "ncclAllReduce", "{} integers", values.size());
  });
}

}  // namespace

std::unique_ptr<DataPlane> make_data_plane(Communicator& communicator) {
  return std::make_unique<NcclDataPlane>(NcclCommunicator::make(communicator));
}

}  // namespace switchyard::comm::nccl
