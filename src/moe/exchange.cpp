#include "moe/exchange.hpp"

#include <algorithm>
#include <cstring>

#include "base/partition.hpp"
#include "ops/rows.hpp"

namespace switchyard::moe {
namespace {

std::size_t at(index_t i) { return static_cast<std::size_t>(i); }

// Rows that are to be sent side by side: each copied once, from where it lies.
tensor::Matrix pack(device::Context& context, std::span<const float* const> rows, index_t cols) {
  const auto count = static_cast<index_t>(rows.size());
  const tensor::Matrix packed{context.workspace().allocate<float>(count * cols).data(), count, cols};
  ops::gather_rows(context, tensor::RowSource(rows.data(), count, cols), packed);
  return packed;
}

}  // namespace

void Exchange::dispatch(device::Context& context, const DispatchPlan& plan, tensor::RowSource samples,
                        index_t row_multiple) {
  device::Workspace& workspace = context.workspace();
  const DispatchPlan::Home& home = plan.home();
  const DispatchPlan::Owner& owner = plan.owner();
  const index_t cols = samples.cols;

  // Where every sample goes to a rank, as under dense gating, its rows are sent from where they lie.
  const float* send = samples.base;
  std::span<const index_t> first_row = zeros_;
  const bool all_rows =
      samples.table == nullptr && samples.stride == cols &&
      std::ranges::all_of(home.rows, [&](index_t rows) { return rows == 0 || rows == samples.rows; });
  if (all_rows) {
    zeros_.assign(home.rows.size(), 0);
    first_row = zeros_;
  } else {
    const std::span<const float*> rows = workspace.allocate<const float*>(home.row_count);
    for (index_t i = 0; i < home.row_count; ++i) rows[at(i)] = samples.row(home.sample[at(i)]);
    send = pack(context, rows, cols).data;
    first_row = home.first_row;
  }
  const tensor::Matrix received{workspace.allocate<float>(owner.row_count * cols).data(), owner.row_count,
                                cols};
  communicator_->all_to_all_rows<float>(send, {home.rows, first_row}, received.data,
                                        {owner.rows, owner.first_row}, cols);

  const std::span<float> zero_row = workspace.allocate<float>(cols);
  std::ranges::fill(zero_row, 0.0F);
  const auto experts = static_cast<index_t>(plan.expert_rows().size());
  inputs_.resize(at(experts));
  samples_.resize(at(experts));
  for (index_t e = 0; e < experts; ++e) {
    const std::span<const std::int32_t> source = plan.source_of(LocalExpert(static_cast<int>(e)));
    const index_t padded = round_up(static_cast<index_t>(source.size()), row_multiple);
    const std::span<const float*> table = workspace.allocate<const float*>(padded);
    std::ranges::fill(table, zero_row.data());
    for (std::size_t r = 0; r < source.size(); ++r) {
      table[r] = source[r] >= 0 ? received.row(source[r]) : samples.row(-1 - source[r]);
    }
    samples_[at(e)] = static_cast<index_t>(source.size());
    inputs_[at(e)] = tensor::RowSource(table.data(), padded, cols);
  }
}

std::span<const float* const> Exchange::combine(device::Context& context, const DispatchPlan& plan,
                                                std::span<const tensor::Matrix> outputs, index_t samples) {
  device::Workspace& workspace = context.workspace();
  const DispatchPlan::Home& home = plan.home();
  const DispatchPlan::Owner& owner = plan.owner();
  const auto output_row = [&](ExpertRow p) { return outputs[at(p.expert)].row(p.row); };
  const index_t cols = output_cols_;

  const std::span<const float*> rows = workspace.allocate<const float*>(owner.slot_count);
  for (index_t i = 0; i < owner.slot_count; ++i) rows[at(i)] = output_row(owner.place[at(i)]);
  const tensor::Matrix send = pack(context, rows, cols);
  const tensor::Matrix received{workspace.allocate<float>(home.slot_count * cols).data(), home.slot_count,
                                cols};
  communicator_->all_to_all_rows<float>(send.data, {owner.slots, owner.first_slot}, received.data,
                                        {home.slots, home.first_slot}, cols);

  const std::span<const float*> slots = workspace.allocate<const float*>(samples * plan.slots_per_sample());
  for (index_t i = 0; i < home.slot_count; ++i) slots[at(home.slot[at(i)])] = received.row(i);
  for (std::size_t i = 0; i < plan.own_slot().size(); ++i)
    slots[at(plan.own_slot()[i])] = output_row(plan.own_place()[i]);
  return slots;
}

std::span<float* const> Exchange::gradient_rows(device::Context& context, const DispatchPlan& plan,
                                                std::span<const tensor::Matrix> d_outputs, index_t samples) {
  device::Workspace& workspace = context.workspace();
  const DispatchPlan::Home& home = plan.home();
  d_message_ = {workspace.allocate<float>(home.slot_count * output_cols_).data(), home.slot_count,
                output_cols_};
  const std::span<float*> slots = workspace.allocate<float*>(samples * plan.slots_per_sample());
  for (index_t i = 0; i < home.slot_count; ++i) slots[at(home.slot[at(i)])] = d_message_.row(i);
  for (std::size_t i = 0; i < plan.own_slot().size(); ++i) {
    const ExpertRow p = plan.own_place()[i];
    slots[at(plan.own_slot()[i])] = d_outputs[at(p.expert)].row(p.row);
  }
  return slots;
}

void Exchange::combine_backward(device::Context& context, const DispatchPlan& plan,
                                std::span<const tensor::Matrix> d_outputs) {
  const DispatchPlan::Home& home = plan.home();
  const DispatchPlan::Owner& owner = plan.owner();
  const index_t cols = output_cols_;
  const tensor::Matrix received{context.workspace().allocate<float>(owner.slot_count * cols).data(),
                                owner.slot_count, cols};
  communicator_->all_to_all_rows<float>(d_message_.data, {home.slots, home.first_slot}, received.data,
                                        {owner.slots, owner.first_slot}, cols);
  const auto row_bytes = at(cols) * sizeof(float);
  for (index_t i = 0; i < owner.slot_count; ++i) {
    const ExpertRow p = owner.place[at(i)];
    std::memcpy(d_outputs[at(p.expert)].row(p.row), received.row(i), row_bytes);
  }
  for (std::size_t e = 0; e < d_outputs.size(); ++e) {
    for (index_t row = plan.expert_rows()[e]; row < d_outputs[e].rows; ++row) {
      std::memset(d_outputs[e].row(row), 0, row_bytes);
    }
  }
}

}  // namespace switchyard::moe
