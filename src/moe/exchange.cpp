#include "moe/exchange.hpp"

#include <algorithm>

#include "device/copy.hpp"
#include "ops/moe/plan.hpp"
#include "ops/rows.hpp"
#include "tensor/tensor.hpp"

namespace switchyard::moe {
namespace {

// Columns [first, first + width) of every row.
template <class T>
tensor::MatrixView<T> columns(tensor::MatrixView<T> m, index_t first, index_t width) {
  return {m.data + first, m.rows, width, m.stride};
}

// Samples lie in one place, in order or by an index into it.
tensor::ConstMatrix place_of_all(const tensor::RowSource& samples) {
  return {samples.base[0], samples.rows, samples.cols, samples.stride[0]};
}

void zero_rows(device::Context& context, tensor::Matrix rows) {
  device::zero_on_device<float>(context, Span<float>(rows.data, rows.rows * rows.cols));
}

}  // namespace

void Exchange::dispatch(device::Context& context, const DispatchPlan& plan, tensor::RowSource samples) {
  device::Workspace& workspace = context.workspace();
  const DispatchPlan::Messages& outbound = plan.outbound();
  const DispatchPlan::Messages& inbound = plan.inbound();
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
    const tensor::Matrix packed = tensor::allocate_matrix(workspace, outbound.row_count, cols);
    ops::gather_rows(context, {plan.sample().data(), outbound.row_count, place_of_all(samples)}, packed);
    send = packed.data;
    first_row = outbound.first_row;
  }
  // Behind the rows that arrive, one of zeros: the padding.
  const tensor::Matrix received = tensor::allocate_matrix(workspace, inbound.row_count + 1, cols);
  data_plane_->all_to_all_rows<float>(context, send, {outbound.rows, first_row}, received.data,
                                      {inbound.rows, inbound.first_row}, cols);
  zero_rows(context, received.rows_from(inbound.row_count, 1));
  input_ = tensor::RowSource(plan.input_index().data(), std::ssize(plan.input_index()), received,
                             place_of_all(samples));
}

// Each dropped slot has a row of its own: gradients are written to it, too, and read by nobody.
tensor::Matrix Exchange::rows_of_slots(device::Context& context, const DispatchPlan& plan, index_t cols) {
  const index_t sent = plan.outbound().slot_count;
  const tensor::Matrix rows = tensor::allocate_matrix(context.workspace(), sent + plan.dropped(), cols);
  zero_rows(context, rows.rows_from(sent, plan.dropped()));
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
SlotParts<T> Exchange::slots(const DispatchPlan& plan, tensor::MatrixView<T> message,
                             const ExpertParts& experts) const {
  const Span<const std::int32_t> index = plan.slot_index();
  SlotParts<T> slots;
  for_each_part([&](std::size_t part, index_t width, index_t first) {
    slots[part] = {index.data(), std::ssize(index), columns(message, first, width),
                   tensor::MatrixView<T>(experts[part])};
  });
  return slots;
}

SlotParts<const float> Exchange::combine(device::Context& context, const DispatchPlan& plan,
                                         const ExpertParts& experts) {
  device::Workspace& workspace = context.workspace();
  const DispatchPlan::Messages& outbound = plan.outbound();
  const DispatchPlan::Messages& inbound = plan.inbound();
  const tensor::Matrix send = tensor::allocate_matrix(workspace, inbound.slot_count, message_cols());
  for_each_part([&](std::size_t part, index_t width, index_t first) {
    ops::gather_rows(context, tensor::RowSource(plan.expert_row().data(), inbound.slot_count, experts[part]),
                     columns(send, first, width));
  });
  const tensor::Matrix received = rows_of_slots(context, plan, message_cols());
  data_plane_->all_to_all_rows<float>(context, send.data, {inbound.slots, inbound.first_slot}, received.data,
                                      {outbound.slots, outbound.first_slot}, message_cols());
  return slots<const float>(plan, received, experts);
}

void Exchange::begin_dispatch_backward(device::Context& context, const DispatchPlan& plan,
                                       tensor::ConstMatrix d_input) {
  const index_t slots = plan.inbound().slot_count;
  const tensor::Matrix send = tensor::allocate_matrix(context.workspace(), slots, d_input.cols);
  ops::gather_rows(context, tensor::RowSource(plan.expert_row().data(), slots, d_input), send);
  begin(context, send, rows_of_slots(context, plan, d_input.cols));
}

tensor::RowSource Exchange::dispatch_backward(device::Context& context, const DispatchPlan& plan,
                                              tensor::ConstMatrix d_input) {
  const DispatchPlan::Messages& outbound = plan.outbound();
  const DispatchPlan::Messages& inbound = plan.inbound();
  data_plane_->all_to_all_rows<float>(context, leaving_.data, {inbound.slots, inbound.first_slot},
                                      arriving_.data, {outbound.slots, outbound.first_slot}, arriving_.cols,
                                      &ready_);
  return {plan.slot_index().data(), std::ssize(plan.slot_index()), arriving_, d_input};
}

SlotParts<float> Exchange::gradient_rows(device::Context& context, const DispatchPlan& plan,
                                         const ExpertParts& d_experts) {
  d_message_ = rows_of_slots(context, plan, message_cols());
  return slots<float>(plan, d_message_, d_experts);
}

void Exchange::begin_combine_backward(device::Context& context, const DispatchPlan& plan) {
  begin(context, d_message_,
        tensor::allocate_matrix(context.workspace(), plan.inbound().slot_count, message_cols()));
}

void Exchange::combine_backward(device::Context& context, const DispatchPlan& plan,
                                const ExpertParts& d_experts) {
  const DispatchPlan::Messages& outbound = plan.outbound();
  const DispatchPlan::Messages& inbound = plan.inbound();
  data_plane_->all_to_all_rows<float>(context, leaving_.data, {outbound.slots, outbound.first_slot},
                                      arriving_.data, {inbound.slots, inbound.first_slot}, arriving_.cols,
                                      &ready_);
  for_each_part([&](std::size_t part, index_t width, index_t first) {
    ops::scatter_rows(context, columns(tensor::ConstMatrix(arriving_), first, width), plan.expert_row(),
                      d_experts[part]);
  });
}

void Exchange::begin(device::Context& context, tensor::ConstMatrix leaving, tensor::Matrix arriving) {
  leaving_ = leaving;
  arriving_ = arriving;
  if (data_plane_->size() > 1) ready_.record(context.compute());
}

}  // namespace switchyard::moe
