// The members of a group that has more than the few which fit in its header: HDF5 keeps them in a fractal heap,
// with a B-tree (version 2) over their names.
#pragma once

#include <cstdint>
#include <functional>

#include "base/span.hpp"
#include "checkpoint/detail/blocks.hpp"

namespace switchyard::checkpoint::detail {

// Calls `use` with each link message of the heap and the tree at these addresses, in the order of the tree. The
// bytes are valid until it returns. Throws Failure for what libhdf5 does not write for a group of the default
// parameters.
void for_each_dense_link(BlockFile& file, std::uint64_t heap_address, std::uint64_t tree_address,
                         const std::function<void(Span<const std::byte>)>& use);

}  // namespace switchyard::checkpoint::detail
