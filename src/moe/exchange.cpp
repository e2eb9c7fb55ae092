#include "moe/exchange.hpp"

#include <algorithm>
#include <cstring>

#include "base/contract.hpp"
#include "base/partition.hpp"
#include "ops/rows.hpp"
#include "tensor/tensor.hpp"

namespace switchyard::moe {
namespace {

// Columns [first, first + width) of every row.
template <class T>
tensor::MatrixView<T> columns(tensor::MatrixView<T> m, index_t first, index_t width) {
  return {m.data + first, m.rows, width, m.stride};
}

// Samples lie in one place, in order or by an index into it: that place, and sample n's row there.
tensor::ConstMatrix place_of_all(const tensor::RowSource& samples) {
  SY_EXPECTS(samples.base[1] == nullptr, "samples in two places");
  return {samples.base[0], samples.rows, samples.cols, samples.stride[0]};
}
std::int32_t place_of(const tensor::RowSource& samples, std::int32_t n) {
  return samples.in_order() ? n : samples.index[n];
}

tensor::RowSource select(device::Workspace& workspace, const tensor::RowSource& samples,
                         Span<const std::int32_t> chosen) {
  const Span<std::int32_t> index = workspace.allocate<std::int32_t>(std::ssize(chosen));
  for (std::size_t i = 0; i < chosen.size(); ++i) index[i] = place_of(samples, chosen[i]);
  return {index.data(), std::ssize(index), place_of_all(samples)};
}

}  // namespace

void Exchange::dispatch(device::Context& context, const DispatchPlan& plan, tensor::RowSource samples,
                        index_t row_multiple) {
  device::Workspace& workspace = context.workspace();
  const DispatchPlan::Outbound& outbound = plan.outbound();
  const DispatchPlan::Inbound& inbound = plan.inbound();
  const index_t cols = samples.cols;

  // Where every sample goes to a rank, as under dense gating, its rows are sent from where they lie.
  const float* send = samples.base[0];
  Span<const index_t> first_row = zeros_;
  const bool all_rows =
      samples.in_order() && samples.stride[0] == cols &&
      std::ranges::all_of(outbound.rows, [&](index_t rows) { return rows == 0 || rows == samples.rows; });
  if (all_rows) {
    zeros_.assign(outbound.rows.size(), 0);
    first_row = zeros_;
  } else {
    const tensor::RowSource rows = select(workspace, samples, outbound.sample.first(outbound.row_count));
    const tensor::Matrix packed = tensor::allocate_matrix(workspace, outbound.row_count, cols);
    ops::gather_rows(context, rows, packed);
    send = packed.data;
    first_row = outbound.first_row;
  }
  // Behind the rows that arrive, one of zeros: the padding.
  const tensor::Matrix received = tensor::allocate_matrix(workspace, inbound.row_count + 1, cols);
  data_plane_->all_to_all_rows<float>(context, send, {outbound.rows, first_row}, received.data,
                                      {inbound.rows, inbound.first_row}, cols);
  std::fill_n(received.row(inbound.row_count), cols, 0.0F);

  samples_.assign(plan.expert_rows().begin(), plan.expert_rows().end());
  first_row_.clear();
  padded_rows_.clear();
  index_t rows = 0;
  for (const index_t count : samples_) {
    first_row_.push_back(rows);
    padded_rows_.push_back(round_up(count, row_multiple));
    rows += padded_rows_.back();
  }
  const Span<std::int32_t> index = workspace.allocate<std::int32_t>(rows);
  for (std::size_t e = 0; e < samples_.size(); ++e) {
    const Span<std::int32_t> of_expert = index.subspan(first_row_[e], padded_rows_[e]);
    const Span<const std::int32_t> source = plan.source_of(LocalExpert(static_cast<int>(e)));
    for (std::size_t r = 0; r < source.size(); ++r)
      of_expert[r] = source[r] >= 0 ? source[r] : -1 - place_of(samples, -1 - source[r]);
    std::ranges::fill(of_expert.subspan(source.size()), static_cast<std::int32_t>(inbound.row_count));
  }
  input_ = tensor::RowSource(index.data(), rows, received, place_of_all(samples));
  index_slots(workspace, plan, samples.rows);
}

void Exchange::index_slots(device::Workspace& workspace, const DispatchPlan& plan, index_t samples) {
  const DispatchPlan::Outbound& outbound = plan.outbound();
  const DispatchPlan::Inbound& inbound = plan.inbound();
  inbound_row_ = workspace.allocate<std::int32_t>(inbound.slot_count);
  for (index_t i = 0; i < inbound.slot_count; ++i) inbound_row_[i] = row_of(inbound.place[i]);
  slot_index_ = workspace.allocate<std::int32_t>(samples * plan.slots_per_sample());
  for (index_t i = 0; i < outbound.slot_count; ++i)
    slot_index_[outbound.slot[i]] = static_cast<std::int32_t>(i);
  for (std::size_t i = 0; i < plan.local_slot().size(); ++i)
    slot_index_[plan.local_slot()[i]] = -1 - row_of(plan.local_place()[i]);
  auto behind = static_cast<std::int32_t>(outbound.slot_count);
  for (const std::int32_t slot : plan.dropped_slot()) slot_index_[slot] = behind++;
}

// Each dropped slot has a row of its own: gradients are written to it, too, and read by nobody.
tensor::Matrix Exchange::rows_of_slots(device::Workspace& workspace, const DispatchPlan& plan, index_t cols) {
  const index_t sent = plan.outbound().slot_count;
  const index_t dropped = std::ssize(plan.dropped_slot());
  const tensor::Matrix rows = tensor::allocate_matrix(workspace, sent + dropped, cols);
  std::fill_n(rows.row(sent), dropped * cols, 0.0F);
  return rows;
}

void Exchange::for_each_part(const auto& body) const {
  index_t first = 0;
  for (std::size_t part = 0; part < Returned::count; ++part) {
    if (widths_[part] > 0) body(part, widths_[part], first);
    first += widths_[part];
  }
}

template <class T>
SlotParts<T> Exchange::slots(tensor::MatrixView<T> message, const ExpertParts& experts) const {
  SlotParts<T> slots;
  for_each_part([&](std::size_t part, index_t width, index_t first) {
    slots[part] = {slot_index_.data(), std::ssize(slot_index_), columns(message, first, width),
                   tensor::MatrixView<T>(experts[part])};
  });
  return slots;
}

SlotParts<const float> Exchange::combine(device::Context& context, const DispatchPlan& plan,
                                         const ExpertParts& experts) {
  device::Workspace& workspace = context.workspace();
  const DispatchPlan::Outbound& outbound = plan.outbound();
  const DispatchPlan::Inbound& inbound = plan.inbound();
  const tensor::Matrix send = tensor::allocate_matrix(workspace, inbound.slot_count, message_cols());
  for_each_part([&](std::size_t part, index_t width, index_t first) {
    ops::gather_rows(context, tensor::RowSource(inbound_row_.data(), inbound.slot_count, experts[part]),
                     columns(send, first, width));
  });
  const tensor::Matrix received = rows_of_slots(workspace, plan, message_cols());
  data_plane_->all_to_all_rows<float>(context, send.data, {inbound.slots, inbound.first_slot}, received.data,
                                      {outbound.slots, outbound.first_slot}, message_cols());
  return slots<const float>(received, experts);
}

tensor::RowSource Exchange::dispatch_backward(device::Context& context, const DispatchPlan& plan,
                                              tensor::ConstMatrix d_input) {
  device::Workspace& workspace = context.workspace();
  const DispatchPlan::Outbound& outbound = plan.outbound();
  const DispatchPlan::Inbound& inbound = plan.inbound();
  const index_t cols = d_input.cols;
  const tensor::Matrix send = tensor::allocate_matrix(workspace, inbound.slot_count, cols);
  ops::gather_rows(context, tensor::RowSource(inbound_row_.data(), inbound.slot_count, d_input), send);
  const tensor::Matrix received = rows_of_slots(workspace, plan, cols);
  data_plane_->all_to_all_rows<float>(context, send.data, {inbound.slots, inbound.first_slot}, received.data,
                                      {outbound.slots, outbound.first_slot}, cols);
  return {slot_index_.data(), std::ssize(slot_index_), received, d_input};
}

SlotParts<float> Exchange::gradient_rows(device::Context& context, const DispatchPlan& plan,
                                         const ExpertParts& d_experts) {
  d_message_ = rows_of_slots(context.workspace(), plan, message_cols());
  return slots<float>(d_message_, d_experts);
}

void Exchange::combine_backward(device::Context& context, const DispatchPlan& plan,
                                const ExpertParts& d_experts) {
  const DispatchPlan::Outbound& outbound = plan.outbound();
  const DispatchPlan::Inbound& inbound = plan.inbound();
  const tensor::Matrix received =
      tensor::allocate_matrix(context.workspace(), inbound.slot_count, message_cols());
  data_plane_->all_to_all_rows<float>(context, d_message_.data, {outbound.slots, outbound.first_slot},
                                      received.data, {inbound.slots, inbound.first_slot}, message_cols());
  for_each_part([&](std::size_t part, index_t width, index_t first) {
    const auto row_bytes = as_size(width) * sizeof(float);
    const tensor::Matrix d = d_experts[part];
    for (index_t i = 0; i < inbound.slot_count; ++i)
      std::memcpy(d.row(inbound_row_[i]), received.row(i) + first, row_bytes);
    for (std::size_t e = 0; e < samples_.size(); ++e) {
      for (index_t row = samples_[e]; row < padded_rows_[e]; ++row)
        std::memset(d.row(first_row_[e] + row), 0, row_bytes);
    }
  });
}

}  // namespace switchyard::moe
