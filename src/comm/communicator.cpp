#include "comm/communicator.hpp"

#include <utility>

#include "base/contract.hpp"
#include "comm/detail/layout_checks.hpp"
#include "comm/watchdog.hpp"

namespace switchyard::comm {

class Communicator::Call {
 public:
  struct Size {
    index_t row_bytes = 0;
    index_t rows = 0;
    index_t sent_bytes = 0;  // by this rank: what leaves it, or what it puts into what all get
  };

  // A collective: announced to the other ranks.
  Call(Communicator& communicator, Operation operation, Size size, GroupRank root = GroupRank{})
      : Call(communicator, operation, size, root, communicator.sequence_++) {
    communicator.announce(tag_);
  }
  static Call between_two(Communicator& communicator, Operation operation, Size size, GroupRank peer) {
    return Call(communicator, operation, size, peer, communicator.sequence_);
  }
  ~Call() {
    if (timeline_ != nullptr)
      timeline_->add_operation(static_cast<int>(tag_.operation), begin_, Timeline::Clock::now(), sent_bytes_);
  }
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;

 private:
  Call(Communicator& communicator, Operation operation, Size size, GroupRank root, index_t sequence)
      : tag_{.step = communicator.step_,
             .sequence = sequence,
             .row_bytes = size.row_bytes,
             .rows = size.rows,
             .operation = operation,
             .root = root.value,
             .phase = communicator.phase_},
        timeline_(communicator.open_timeline()),
        sent_bytes_(communicator.size() > 1 ? size.sent_bytes : 0),
        wait_(communicator.watchdog_, tag_) {
    if (timeline_ != nullptr) begin_ = Timeline::Clock::now();
  }

  OperationTag tag_;
  Timeline* timeline_;  // null: nobody is told
  index_t sent_bytes_;
  Timeline::Clock::time_point begin_;
  WatchedWait wait_;
};

Timeline* Communicator::open_timeline() const {
  Timeline* const timeline = *timeline_;
  return timeline != nullptr && timeline->is_in_step() ? timeline : nullptr;
}

void Communicator::set_phase(index_t step, std::string_view phase) {
  step_ = step;
  phase_ = PhaseName(phase);
}

void Communicator::barrier() {
  const Call call(*this, Operation::barrier, {});
  do_barrier();
}

void Communicator::broadcast_bytes(Span<std::byte> data, GroupRank root) {
  SY_EXPECTS(root.value >= 0 && root.value < size(), "broadcast from rank {} of {}", root.value, size());
  const index_t bytes = std::ssize(data);
  const Call call(*this, Operation::broadcast,
                  {.row_bytes = bytes, .rows = 1, .sent_bytes = root == rank() ? bytes : 0}, root);
  if (!data.empty()) do_broadcast(data, root);
}

void Communicator::broadcast(std::string& text, GroupRank root) {
  auto size = static_cast<std::int64_t>(text.size());
  broadcast(Span<std::int64_t>(&size, 1), root);
  text.resize(as_size(size));
  broadcast(Span<char>(text), root);
}

void Communicator::all_gather_bytes(Span<const std::byte> mine, Span<std::byte> all, Span<const index_t> rows,
                                    index_t row_bytes) {
  const index_t all_rows = detail::require_gather({rank(), size()}, mine, all, rows, row_bytes);
  const Call call(*this, Operation::all_gather_rows,
                  {.row_bytes = row_bytes, .rows = all_rows, .sent_bytes = std::ssize(mine)});
  if (!all.empty()) do_all_gather(mine, all, rows, row_bytes);
}

void Communicator::all_to_all_bytes(Span<const std::byte> send, Span<std::byte> recv, index_t block_bytes) {
  SY_EXPECTS(std::ssize(send) == size() * block_bytes && send.size() == recv.size(),
             "sending {} and receiving {} bytes for {} blocks of {} bytes", send.size(), recv.size(), size(),
             block_bytes);
  const Call call(*this, Operation::all_to_all,
                  {.row_bytes = block_bytes, .sent_bytes = (size() - 1) * block_bytes});
  if (block_bytes > 0) do_all_to_all(send, recv, block_bytes);
}

void Communicator::all_to_all_rows_bytes(const std::byte* send, RowLayout send_layout, std::byte* recv,
                                         RowLayout recv_layout, index_t row_bytes) {
  detail::require_exchange({rank(), size()}, send_layout, recv_layout, row_bytes);
  index_t sent_rows = -send_layout.rows[rank()];
  for (const index_t rows : send_layout.rows) sent_rows += rows;
  const Call call(*this, Operation::all_to_all_rows,
                  {.row_bytes = row_bytes, .sent_bytes = sent_rows * row_bytes});
  if (row_bytes > 0) do_all_to_all_rows(send, send_layout, recv, recv_layout, row_bytes);
}

void Communicator::all_reduce(Span<std::int64_t> values, Operation sum_or_max) {
  const index_t count = std::ssize(values);
  const Call call(*this, sum_or_max,
                  {.row_bytes = element_bytes<std::int64_t>(),
                   .rows = count,
                   .sent_bytes = count * element_bytes<std::int64_t>()});
  if (!values.empty()) do_all_reduce(values, sum_or_max);
}

void Communicator::send_bytes(Span<const std::byte> data, GroupRank to) {
  SY_EXPECTS(to.value >= 0 && to.value < size() && to != rank(), "rank {} of {} sends to rank {}", rank().value,
             size(), to.value);
  const index_t bytes = std::ssize(data);
  const Call call =
      Call::between_two(*this, Operation::send, {.row_bytes = bytes, .rows = 1, .sent_bytes = bytes}, to);
  do_send(data, to);
}

void Communicator::receive_bytes(Span<std::byte> data, GroupRank from) {
  SY_EXPECTS(from.value >= 0 && from.value < size() && from != rank(), "rank {} of {} receives from rank {}",
             rank().value, size(), from.value);
  const Call call =
      Call::between_two(*this, Operation::receive, {.row_bytes = std::ssize(data), .rows = 1}, from);
  do_receive(data, from);
}

std::unique_ptr<Communicator> Communicator::split(int colour) {
  SY_EXPECTS(colour >= 0, "colour {}", colour);
  const Call call(*this, Operation::split, {});
  std::unique_ptr<Communicator> group = do_split(colour);
  group->step_ = step_;
  group->phase_ = phase_;
  group->watchdog_ = watchdog_;
  group->timeline_ = timeline_;
  return group;
}

}  // namespace switchyard::comm
