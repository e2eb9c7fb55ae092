#include "comm/staged_data_plane.hpp"

#include <numeric>

#include "comm/detail/copy_block.hpp"
#include "comm/detail/layout_checks.hpp"
#include "comm/detail/own_block.hpp"
#include "device/transfer.hpp"

namespace switchyard::comm {
namespace {

device::MemoryKind memory_of_stages(const device::Context& context) {
  return context.device() == device::DeviceKind::cpu ? device::MemoryKind::host : device::MemoryKind::pinned;
}

// Enqueued on a GPU; there the host's side is pinned.
void copy_to_host(device::Context& context, const std::byte* from, std::byte* to, index_t bytes) {
  if (context.device() == device::DeviceKind::cpu) return detail::copy_block(from, to, bytes);
  device::fetch_bytes(context, context.messages(), from, to, as_size(bytes));
}

void copy_to_device(device::Context& context, const std::byte* from, std::byte* to, index_t bytes) {
  if (context.device() == device::DeviceKind::cpu) return detail::copy_block(from, to, bytes);
  device::place_bytes(context, context.messages(), from, to, as_size(bytes));
}

// Calls copy(first_row, staged_row, rows) for the blocks that have a place in a stage, once for those that lie
// one after the other in both.
template <class Copy>
void for_each_run(RowLayout layout, RowLayout staged, const Copy& copy) {
  index_t first = 0, staged_first = 0, rows = 0;
  for (std::size_t r = 0; r < staged.rows.size(); ++r) {
    if (staged.rows[r] == 0) continue;
    if (rows == 0 || layout.first_row[r] != first + rows) {
      if (rows > 0) copy(first, staged_first, rows);
      first = layout.first_row[r];
      staged_first = staged.first_row[r];
      rows = 0;
    }
    rows += staged.rows[r];
  }
  if (rows > 0) copy(first, staged_first, rows);
}

}  // namespace

void StagedDataPlane::Stage::arrange(RowLayout layout, GroupRank self) {
  rows_.assign(layout.rows.begin(), layout.rows.end());
  rows_[as_size(self)] = 0;
  first_row_.resize(rows_.size());
  std::exclusive_scan(rows_.begin(), rows_.end(), first_row_.begin(), index_t{0});
  row_count_ = first_row_.back() + rows_.back();
}

std::byte* StagedDataPlane::Stage::reserve(index_t bytes) {
  // A quarter more, since how many rows travel changes from step to step.
  if (bytes_.count() < bytes) bytes_ = device::Buffer<std::byte>(bytes + bytes / 4, memory_);
  return bytes_.data();
}

StagedDataPlane::StagedDataPlane(Communicator& communicator, const device::Context& context)
    : communicator_(communicator),
      ready_(context.make_event()),
      left_(context.make_event()),
      arrived_(context.make_event()),
      leaving_(memory_of_stages(context)),
      arriving_(memory_of_stages(context)) {}

void StagedDataPlane::leave(device::Context& context, const device::Event* ready, const auto& copy) {
  if (ready == nullptr) {
    ready_.record(context.compute());
    ready = &ready_;
  }
  context.messages().wait_for(*ready);
  copy();
  left_.record(context.messages());
  context.wait(left_);
}

void StagedDataPlane::arrive(device::Context& context, const auto& copy) {
  copy();
  arrived_.record(context.messages());
  context.compute().wait_for(arrived_);
}

void StagedDataPlane::do_all_to_all_rows(device::Context& context, const std::byte* send, RowLayout send_layout,
                                         std::byte* recv, RowLayout recv_layout, index_t row_bytes,
                                         const device::Event* ready) {
  detail::require_exchange({rank(), size()}, send_layout, recv_layout, row_bytes);
  detail::copy_own_block(context, rank(), send, send_layout, recv, recv_layout, row_bytes);
  if (size() == 1 || row_bytes == 0) return;

  leaving_.arrange(send_layout, rank());
  arriving_.arrange(recv_layout, rank());
  const bool has_rows = leaving_.row_count() + arriving_.row_count() > 0;
  std::byte* const out = leaving_.reserve(leaving_.row_count() * row_bytes);
  const auto copy_out = [&] {
    for_each_run(send_layout, leaving_.layout(), [&](index_t first, index_t staged, index_t rows) {
      copy_to_host(context, send + first * row_bytes, out + staged * row_bytes, rows * row_bytes);
    });
  };
  if (has_rows) leave(context, ready, copy_out);
  std::byte* const in = arriving_.reserve(arriving_.row_count() * row_bytes);
  communicator_.all_to_all_rows<std::byte>(out, leaving_.layout(), in, arriving_.layout(), row_bytes);
  const auto copy_in = [&] {
    for_each_run(recv_layout, arriving_.layout(), [&](index_t first, index_t staged, index_t rows) {
      copy_to_device(context, in + staged * row_bytes, recv + first * row_bytes, rows * row_bytes);
    });
  };
  if (has_rows) arrive(context, copy_in);
}

void StagedDataPlane::do_all_gather_rows(device::Context& context, Span<const std::byte> mine,
                                         Span<std::byte> all, Span<const index_t> rows, index_t row_bytes) {
  detail::require_gather({rank(), size()}, mine, all, rows, row_bytes);
  const index_t begin = detail::bytes_before(rank(), rows, row_bytes);
  const index_t end = begin + std::ssize(mine);
  detail::copy_within(context, mine.data(), all.data() + begin, std::ssize(mine));
  if (size() == 1 || all.empty()) return;

  std::byte* const out = leaving_.reserve(std::ssize(mine));
  leave(context, nullptr, [&] { copy_to_host(context, mine.data(), out, std::ssize(mine)); });
  std::byte* const in = arriving_.reserve(std::ssize(all));
  communicator_.all_gather_rows<std::byte>({out, mine.size()}, {in, all.size()}, rows, row_bytes);
  arrive(context, [&] {
    copy_to_device(context, in, all.data(), begin);
    copy_to_device(context, in + end, all.data() + end, std::ssize(all) - end);
  });
}

void StagedDataPlane::do_all_reduce_sum(device::Context& context, Span<std::int64_t> values) {
  if (size() == 1 || values.empty()) return;
  const auto bytes = static_cast<index_t>(values.size_bytes());
  auto* const place = reinterpret_cast<std::byte*>(values.data());
  std::byte* const out = leaving_.reserve(bytes);
  leave(context, nullptr, [&] { copy_to_host(context, place, out, bytes); });
  std::byte* const in = arriving_.reserve(bytes);
  detail::copy_block(out, in, bytes);
  communicator_.all_reduce_sum({reinterpret_cast<std::int64_t*>(in), values.size()});
  arrive(context, [&] { copy_to_device(context, in, place, bytes); });
}

}  // namespace switchyard::comm
