// The plan of a layer's rows as one host finds it that sees the slots of all ranks: slow, and in words.
#pragma once

#include <cstdint>
#include <vector>

#include "base/span.hpp"
#include "comm/communicator.hpp"
#include "moe/placement.hpp"
#include "moe/routing.hpp"
#include "nn/row_blocks.hpp"

namespace switchyard::moe::reference {

// As moe::DispatchPlan has it of the same name; by rank, by expert here, or by slot.
struct Plan {
  std::vector<index_t> rows_out, slots_out, rows_in, slots_in;
  std::vector<index_t> expert_rows, padded_rows, all_expert_rows;
  std::vector<std::int32_t> sample, slot_index, input_index, expert_row;
  index_t dropped = 0;
};

struct Rows {
  std::vector<std::int32_t> lies;  // where the row of each sample does
  index_t multiple = 1;
};

// Collective over the ranks of the placement.
Plan plan_of(comm::Communicator& communicator, const Placement& placement, const Routing& routing,
             const Rows& rows, const nn::RowBlocks& blocks);

}  // namespace switchyard::moe::reference
