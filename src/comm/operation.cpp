#include "comm/operation.hpp"

#include <fmt/format.h>

#include <type_traits>

#include "base/error.hpp"

namespace switchyard::comm {

static_assert(std::has_unique_object_representations_v<OperationTag>, "the tag must have no gaps");

std::string_view name(Operation operation) {
  // In the order of Operation.
  constexpr std::array<std::string_view, 15> names = {
      "barrier",        "broadcast",      "all_gather_rows", "all_to_all", "all_to_all_rows",
      "all_reduce_sum", "all_reduce_max", "split",           "send",       "receive",
      "start",          "finish",         "leave",           "read_files", "device"};
  static_assert(names.size() == as_size(Operation::device) + 1);
  // On the board may be one of another build.
  return as_size(operation) < names.size() ? names[as_size(operation)] : "unknown operation";
}

std::string describe(const OperationTag& tag) {
  const std::string rows = tag.rows > 0 ? fmt::format("{} ", tag.rows) : std::string();
  const std::string size = tag.row_bytes > 0 ? fmt::format(" of {}rows of {} bytes", rows, tag.row_bytes) : "";
  const std::string root = tag.root >= 0 ? fmt::format(" with rank {}", tag.root) : std::string();
  return fmt::format("{}{}{} (step {}, phase {}, collective {} of the group)", name(tag.operation), size, root,
                     tag.step, tag.phase.view(), tag.sequence);
}

void require_same_operation(const OperationTag& of_rank_0, GroupRank other_rank, const OperationTag& of_other) {
  if (of_rank_0 == of_other) [[likely]]
    return;
  throw ContractViolation(fmt::format(
      "the ranks of a group are in different collectives (rank 0 is in {}; rank {} is in {}); this is a "
      "defect of switchyard, please report it",
      describe(of_rank_0), other_rank.value, describe(of_other)));
}

}  // namespace switchyard::comm
