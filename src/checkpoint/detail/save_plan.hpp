// What all ranks together want to save: who owns what of which array.
#pragma once

#include <string>
#include <vector>

#include "base/span.hpp"
#include "checkpoint/checkpoint.hpp"
#include "comm/communicator.hpp"

namespace switchyard::checkpoint::detail {

// Elements of one array that one rank holds.
struct Part {
  GroupRank owner;
  index_t slice = 0;  // position in the owner's list of slices
  IndexRange elements;
};

struct ArrayPlan {
  std::string path;
  DType dtype = DType::float32;
  tensor::Shape shape;
  std::vector<Part> parts;  // in the order of elements, which they cover once
};

// The same on every rank; a function of the gathered slices only. So every rank knows, without being told,
// which piece the root wants next.
struct SavePlan {
  std::vector<ArrayPlan> arrays;  // sorted by path
  index_t data_bytes() const;
};

// Collective. Gathers the descriptions of the slices (not their data) on every rank. Throws ContractViolation,
// the same on every rank, if the slices of an array disagree, overlap, or leave elements out.
SavePlan gather_save_plan(comm::Communicator& communicator, Span<const Slice> slices);

// What the file takes on the disk, from above: data and texts, and the library's overhead. Only the reservation
// and the message of a full disk depend on it.
index_t expected_file_bytes(const SavePlan& plan, const Header& header);

// Throws ContractViolation if two of the paths in plan and header are the same, one is a group of another, or
// one is not of the form "a/b/c". Local.
void check_paths(const SavePlan& plan, const Header& header);

}  // namespace switchyard::checkpoint::detail
