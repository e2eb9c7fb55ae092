// What a rank is doing when it communicates: for the watchdog's sentence and for the check that all ranks do
// the same.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/ids.hpp"

namespace switchyard::comm {

enum class Operation : std::int32_t {
  barrier,
  broadcast,
  all_gather_rows,
  all_to_all,
  all_to_all_rows,
  all_reduce_sum,
  all_reduce_max,
  split,
  send,
  receive,
  start,       // of MPI
  finish,      // of MPI
  leave,       // the ranks of a machine, once MPI has ended
  read_files,  // waits for the file system, not for other ranks
  device,      // waits for this rank's GPU, which may wait for other ranks
};
std::string_view name(Operation operation);

// A phase's name, cut to what fits: copied into every operation without an allocation.
class PhaseName {
 public:
  PhaseName() = default;
  explicit PhaseName(std::string_view text) {
    std::copy_n(text.begin(), std::min(text.size(), text_.size() - 1), text_.begin());
  }
  std::string_view view() const { return text_.data(); }
  bool operator==(const PhaseName&) const = default;

 private:
  std::array<char, 24> text_{};  // ends with a zero
};

// One operation of one rank. Plain bytes without gaps: it travels between ranks as it is.
struct OperationTag {
  index_t step = 0;
  index_t sequence = 0;   // how many collectives of this group came before
  index_t row_bytes = 0;  // of one row, block, value or whole buffer: what all ranks must give alike
  index_t rows = 0;       // in all, where all ranks must give the same number; else 0
  Operation operation = Operation::barrier;
  std::int32_t root = -1;  // broadcast: the root; send and receive: the other rank
  PhaseName phase;

  bool operator==(const OperationTag&) const = default;
};

// "broadcast of 1 rows of 64 bytes with rank 0 (step 3, phase dispatch, collective 17 of the group)".
std::string describe(const OperationTag& tag);

// Throws the ContractViolation that names both sides if `other_rank` is not in the collective that rank 0 is
// in.
void require_same_operation(const OperationTag& of_rank_0, GroupRank other_rank, const OperationTag& of_other);

}  // namespace switchyard::comm
