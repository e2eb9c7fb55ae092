#include "comm/node_layout.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <string>

#include "base/contract.hpp"
#include "base/hash.hpp"
#include "base/host_name.hpp"
#include "device/describe.hpp"

namespace switchyard::comm {
namespace {

bool same_node(const RankLocation& a, const RankLocation& b) {
  return std::string_view(a.host) == std::string_view(b.host);
}

bool share_processors(const RankLocation& a, const RankLocation& b) {
  return same_node(a, b) && a.processors_key == b.processors_key;
}

}  // namespace

RankLocation make_location(std::string_view host, Span<const int> processors) {
  RankLocation location;
  std::copy_n(host.begin(), std::min(host.size(), sizeof(location.host) - 1), location.host);
  location.processors_key = fnv1a({reinterpret_cast<const char*>(processors.data()), processors.size_bytes()});
  return location;
}

RankLocation my_location() { return make_location(host_name(), device::allowed_processors()); }

NodeLayout make_node_layout(Span<const RankLocation> locations, GroupRank rank) {
  SY_EXPECTS(rank.value >= 0 && rank.value < std::ssize(locations), "rank {} of {}", rank.value,
             locations.size());
  const RankLocation& mine = locations[rank];
  const auto before_me = locations.first(rank);
  const auto on_my_node = [&](const RankLocation& other) { return same_node(other, mine); };
  const auto sharing = [&](const RankLocation& other) { return share_processors(other, mine); };

  NodeLayout layout;
  std::set<std::string_view> hosts;
  for (const RankLocation& location : locations) {
    if (same_node(location, mine) && !hosts.contains(location.host))
      layout.node = static_cast<int>(hosts.size());
    hosts.insert(location.host);
  }
  layout.nodes = static_cast<int>(hosts.size());
  hosts.erase(mine.host);
  layout.other_hosts = fmt::format("{}", fmt::join(hosts, ", "));
  layout.ranks_on_node = static_cast<int>(std::ranges::count_if(locations, on_my_node));
  layout.node_rank = NodeRank(std::ranges::count_if(before_me, on_my_node));
  layout.ranks_sharing_processors = static_cast<int>(std::ranges::count_if(locations, sharing));
  layout.position_among_sharers = static_cast<int>(std::ranges::count_if(before_me, sharing));
  return layout;
}

NodeLayout find_node_layout(Communicator& communicator) {
  return make_node_layout(communicator.all_gather(my_location()), communicator.rank());
}

int default_threads(int processors, const NodeLayout& layout) {
  return std::max(1, processors / layout.ranks_sharing_processors);
}

}  // namespace switchyard::comm
