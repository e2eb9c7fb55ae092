#include "moe/exchange.hpp"

#include <algorithm>
#include <cstring>

#include "base/partition.hpp"
#include "ops/rows.hpp"
#include "tensor/tensor.hpp"

namespace switchyard::moe {
namespace {

// Columns [first, first + width) of every row.
tensor::Matrix columns(tensor::Matrix m, index_t first, index_t width) {
  return {m.data + first, m.rows, width, m.stride};
}

}  // namespace

void Exchange::dispatch(device::Context& context, const DispatchPlan& plan, tensor::RowSource samples,
                        index_t row_multiple) {
  device::Workspace& workspace = context.workspace();
  const DispatchPlan::Outbound& outbound = plan.outbound();
  const DispatchPlan::Inbound& inbound = plan.inbound();
  const index_t cols = samples.cols;

  // Where every sample goes to a rank, as under dense gating, its rows are sent from where they lie.
  const float* send = samples.base;
  Span<const index_t> first_row = zeros_;
  const bool all_rows =
      samples.table == nullptr && samples.stride == cols &&
      std::ranges::all_of(outbound.rows, [&](index_t rows) { return rows == 0 || rows == samples.rows; });
  if (all_rows) {
    zeros_.assign(outbound.rows.size(), 0);
    first_row = zeros_;
  } else {
    const Span<const float*> rows = workspace.allocate<const float*>(outbound.row_count);
    for (index_t i = 0; i < outbound.row_count; ++i) rows[i] = samples.row(outbound.sample[i]);
    const tensor::Matrix packed = tensor::allocate_matrix(context.workspace(), outbound.row_count, cols);
    ops::gather_rows(context, tensor::RowSource(rows.data(), outbound.row_count, cols), packed);
    send = packed.data;
    first_row = outbound.first_row;
  }
  const tensor::Matrix received = tensor::allocate_matrix(context.workspace(), inbound.row_count, cols);
  communicator_->all_to_all_rows<float>(send, {outbound.rows, first_row}, received.data,
                                        {inbound.rows, inbound.first_row}, cols);

  const Span<float> zero_row = workspace.allocate<float>(cols);
  std::ranges::fill(zero_row, 0.0F);
  samples_.assign(plan.expert_rows().begin(), plan.expert_rows().end());
  first_row_.clear();
  padded_rows_.clear();
  index_t rows = 0;
  for (const index_t count : samples_) {
    first_row_.push_back(rows);
    padded_rows_.push_back(round_up(count, row_multiple));
    rows += padded_rows_.back();
  }
  const Span<const float*> table = workspace.allocate<const float*>(rows);
  for (std::size_t e = 0; e < samples_.size(); ++e) {
    const Span<const float*> of_expert = table.subspan(first_row_[e], padded_rows_[e]);
    const Span<const std::int32_t> source = plan.source_of(LocalExpert(static_cast<int>(e)));
    for (std::size_t r = 0; r < source.size(); ++r)
      of_expert[r] = source[r] >= 0 ? received.row(source[r]) : samples.row(-1 - source[r]);
    std::ranges::fill(of_expert.subspan(source.size()), zero_row.data());
  }
  input_ = tensor::RowSource(table.data(), rows, cols);
}

void Exchange::for_each_part(const auto& body) const {
  index_t first = 0;
  for (std::size_t part = 0; part < Returned::count; ++part) {
    if (widths_[part] > 0) body(part, widths_[part], first);
    first += widths_[part];
  }
}

SlotParts<const float> Exchange::combine(device::Context& context, const DispatchPlan& plan,
                                         const ExpertParts& experts, index_t samples) {
  device::Workspace& workspace = context.workspace();
  const DispatchPlan::Outbound& outbound = plan.outbound();
  const DispatchPlan::Inbound& inbound = plan.inbound();
  const tensor::Matrix send = tensor::allocate_matrix(context.workspace(), inbound.slot_count, message_cols());
  for_each_part([&](std::size_t part, index_t width, index_t first) {
    const Span<const float*> rows = workspace.allocate<const float*>(inbound.slot_count);
    for (index_t i = 0; i < inbound.slot_count; ++i) rows[i] = row_of(experts[part], inbound.place[i]);
    ops::gather_rows(context, tensor::RowSource(rows.data(), inbound.slot_count, width),
                     columns(send, first, width));
  });
  const tensor::Matrix received =
      tensor::allocate_matrix(context.workspace(), outbound.slot_count, message_cols());
  communicator_->all_to_all_rows<float>(send.data, {inbound.slots, inbound.first_slot}, received.data,
                                        {outbound.slots, outbound.first_slot}, message_cols());

  SlotParts<const float> slots;
  for_each_part([&](std::size_t part, index_t, index_t first) {
    const Span<const float*> rows = workspace.allocate<const float*>(samples * plan.slots_per_sample());
    for (index_t i = 0; i < outbound.slot_count; ++i) rows[outbound.slot[i]] = received.row(i) + first;
    for (std::size_t i = 0; i < plan.local_slot().size(); ++i)
      rows[plan.local_slot()[i]] = row_of(experts[part], plan.local_place()[i]);
    slots[part] = rows;
  });
  return slots;
}

SlotParts<float> Exchange::gradient_rows(device::Context& context, const DispatchPlan& plan,
                                         const ExpertParts& d_experts, index_t samples) {
  const DispatchPlan::Outbound& outbound = plan.outbound();
  d_message_ = tensor::allocate_matrix(context.workspace(), outbound.slot_count, message_cols());
  SlotParts<float> slots;
  for_each_part([&](std::size_t part, index_t, index_t first) {
    const Span<float*> rows = context.workspace().allocate<float*>(samples * plan.slots_per_sample());
    for (index_t i = 0; i < outbound.slot_count; ++i) rows[outbound.slot[i]] = d_message_.row(i) + first;
    for (std::size_t i = 0; i < plan.local_slot().size(); ++i)
      rows[plan.local_slot()[i]] = row_of(d_experts[part], plan.local_place()[i]);
    slots[part] = rows;
  });
  return slots;
}

void Exchange::combine_backward(device::Context& context, const DispatchPlan& plan,
                                const ExpertParts& d_experts) {
  const DispatchPlan::Outbound& outbound = plan.outbound();
  const DispatchPlan::Inbound& inbound = plan.inbound();
  const tensor::Matrix received =
      tensor::allocate_matrix(context.workspace(), inbound.slot_count, message_cols());
  communicator_->all_to_all_rows<float>(d_message_.data, {outbound.slots, outbound.first_slot}, received.data,
                                        {inbound.slots, inbound.first_slot}, message_cols());
  for_each_part([&](std::size_t part, index_t width, index_t first) {
    const auto row_bytes = as_size(width) * sizeof(float);
    for (index_t i = 0; i < inbound.slot_count; ++i)
      std::memcpy(row_of(d_experts[part], inbound.place[i]), received.row(i) + first, row_bytes);
    for (std::size_t e = 0; e < samples_.size(); ++e) {
      for (index_t row = samples_[e]; row < padded_rows_[e]; ++row)
        std::memset(d_experts[part].row(first_row_[e] + row), 0, row_bytes);
    }
  });
}

}  // namespace switchyard::moe
