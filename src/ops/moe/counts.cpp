#include "ops/moe/counts.hpp"

#include <algorithm>

#include "base/contract.hpp"
#include "device/launch.hpp"
#include "ops/moe/kernels/counts.hpp"

namespace switchyard::ops {
namespace {

// A GPU wants many walkers; on a CPU a table per walker is to be added up again.
index_t rows_of_block(const device::Context& context) {
  return context.device() == device::DeviceKind::cuda ? 256 : 2048;
}

// Tables up to 32 KiB are filled in scratch: a GPU's memory answers a thousand times later.
constexpr index_t widest_in_scratch = 8192;

}  // namespace

void add_counts(device::Context& context, const CountedRows& rows, const CountColumns& columns,
                Span<const KnownCount> known, Span<std::int64_t> counts) {
  SY_EXPECTS(std::ssize(counts) == columns.width, "{} counts for {} columns", counts.size(), columns.width);
  SY_EXPECTS(std::ssize(known) <= most_known_counts, "{} known counts", known.size());
  const index_t block = rows_of_block(context);
  const index_t blocks = (rows.rows + block - 1) / block;
  const Span<std::int32_t> tables = context.workspace().allocate<std::int32_t>(blocks * columns.width);
  device::for_each_row(
      context, blocks,
      kernels::CountBlock{rows, columns, block, columns.width <= widest_in_scratch, tables.data()});
  kernels::AddCounts add{tables.data(), blocks, columns.width, {}, counts.data()};
  for (KnownCount& of : add.known) of.columns = 0;
  std::ranges::copy(known, add.known);
  device::for_each(context, columns.width, add);
}

}  // namespace switchyard::ops
