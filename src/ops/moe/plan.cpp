#include "ops/moe/plan.hpp"

#include <algorithm>

#include "base/contract.hpp"
#include "device/launch.hpp"
#include "ops/moe/kernels/plan.hpp"

namespace switchyard::ops {

// A GPU's walkers are slow and many; on a CPU a block's counts are to be scanned.
PlanBlocks PlanBlocks::of(const device::Context& context, index_t samples, index_t slots) {
  const index_t slots_of_block = context.device() == device::DeviceKind::cuda ? 256 : 4096;
  const index_t of_block = std::max<index_t>(slots_of_block / std::max<index_t>(slots, 1), 1);
  return {of_block, (samples + of_block - 1) / of_block};
}

void count_slots(device::Context& context, const PlanTables& tables, const PlannedSlots& slots,
                 const PlanBlocks& blocks, Span<std::int32_t> before, Span<std::int32_t> totals) {
  const index_t width = tables.columns.width();
  SY_EXPECTS(std::ssize(before) == blocks.count * width && std::ssize(totals) == width,
             "{} counts and {} totals of {} blocks and {} columns", before.size(), totals.size(), blocks.count,
             width);
  device::for_each_row(context, blocks.count, kernels::CountSlots{{slots, blocks}, tables, before.data()});
  device::for_each(context, width, kernels::ScanBlocks{before.data(), blocks.count, width, totals.data()});
}

void choose_copies(device::Context& context, const ExpertCopies& copies, const PlannedSlots& slots,
                   const PlanBlocks& blocks, Span<const std::int32_t> before, Span<std::int32_t> hosted) {
  SY_EXPECTS(std::ssize(before) == blocks.count * (copies.experts + 1), "{} counts of {} blocks", before.size(),
             blocks.count);
  device::for_each_row(context, blocks.count,
                       kernels::ChooseCopies{{slots, blocks}, copies, before.data(), hosted.data()});
}

void place_slots(device::Context& context, const PlanTables& tables, const PlannedSlots& slots,
                 const PlanBlocks& blocks, const std::int32_t* before, const std::int32_t* per_sample,
                 const PlacedSlots& placed) {
  device::for_each_row(context, blocks.count,
                       kernels::PlaceSlots{{slots, blocks}, tables, before, per_sample, placed});
}

void place_arrivals(device::Context& context, const Arrivals& arrivals) {
  device::for_each(context, arrivals.slots + arrivals.padding, kernels::PlaceArrivals{arrivals});
}

void scatter_rows(device::Context& context, tensor::ConstMatrix from, Span<const std::int32_t> row,
                  tensor::Matrix to) {
  SY_EXPECTS(from.cols == to.cols && std::ssize(row) >= from.rows, "{} x {} rows to {} places of {} columns",
             from.rows, from.cols, row.size(), to.cols);
  device::for_each_row(context, std::ssize(row), kernels::ScatterRows{from, row.data(), to});
}

}  // namespace switchyard::ops
