// Which ranks run on one machine, and which of them share processors.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/ids.hpp"
#include "base/span.hpp"
#include "comm/communicator.hpp"

namespace switchyard::comm {

struct NodeLayout {
  int nodes = 1;  // of the group
  int node = 0;   // the node of this rank; nodes are numbered by their lowest rank
  int ranks_on_node = 1;
  NodeRank node_rank{0};  // place among the ranks on this node
  // Ranks on this node with exactly the affinity mask of this one: several where the launcher bound no rank.
  int ranks_sharing_processors = 1;
  int position_among_sharers = 0;
  std::string other_hosts;  // "node2, node3", sorted
};

// What a rank tells the others. Plain bytes.
struct RankLocation {
  char host[256] = {};               // ends with a zero
  std::uint64_t processors_key = 0;  // equal for equal affinity masks
};
RankLocation make_location(std::string_view host, Span<const int> processors);

// Where this process runs.
RankLocation my_location();

// The layout as `rank` sees it, from the locations of all ranks. Local.
NodeLayout make_node_layout(Span<const RankLocation> locations, GroupRank rank);

// Collective over `communicator`.
NodeLayout find_node_layout(Communicator& communicator);

// The default of run.threads: this rank's share of `processors` allowed ones, at least 1. Where ranks share,
// what does not divide evenly is left to the system.
int default_threads(int processors, const NodeLayout& layout);

}  // namespace switchyard::comm
