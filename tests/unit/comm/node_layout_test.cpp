// Who shares a node and its processors, and the groups made of that.
#include "comm/node_layout.hpp"

#include <gtest/gtest.h>

#include <vector>

#include "comm/replica_group.hpp"
#include "comm/threads/thread_group.hpp"

namespace switchyard::comm {
namespace {

const std::vector<int> low{0, 1, 2, 3}, high{4, 5, 6, 7};

TEST(NodeLayout, counts_nodes_and_sharers_when_ranks_are_interleaved) {
  // Ranks 0 2 3 4 on host b, of which 0 2 4 share; ranks 1 5 on host a.
  const std::vector<RankLocation> locations{make_location("b", low), make_location("a", low),
                                            make_location("b", low), make_location("b", high),
                                            make_location("b", low), make_location("a", high)};
  const NodeLayout of_4 = make_node_layout(locations, GroupRank(4));
  EXPECT_EQ(of_4.nodes, 2);
  EXPECT_EQ(of_4.node, 0);
  EXPECT_EQ(of_4.ranks_on_node, 4);
  EXPECT_EQ(of_4.node_rank, NodeRank(3));
  EXPECT_EQ(of_4.ranks_sharing_processors, 3);
  EXPECT_EQ(of_4.position_among_sharers, 2);
  const NodeLayout of_5 = make_node_layout(locations, GroupRank(5));
  EXPECT_EQ(of_5.node, 1);
  EXPECT_EQ(of_5.ranks_on_node, 2);
  EXPECT_EQ(of_5.node_rank, NodeRank(1));
  EXPECT_EQ(of_5.ranks_sharing_processors, 1);
  EXPECT_EQ(of_5.position_among_sharers, 0);
}

TEST(NodeLayout, threads_are_the_share_of_the_processors_and_at_least_one) {
  NodeLayout layout;
  EXPECT_EQ(default_threads(8, layout), 8);
  layout.ranks_sharing_processors = 3;
  EXPECT_EQ(default_threads(8, layout), 2);
  EXPECT_EQ(default_threads(2, layout), 1);
}

TEST(NodeLayout, a_long_host_name_is_cut_not_overrun) {
  const std::string name(300, 'x');
  EXPECT_EQ(std::string_view(make_location(name, low).host).size(), 255u);
}

TEST(NodeLayout, threads_of_one_process_share_everything) {
  run_ranks(3, [](Communicator& comm) {
    const NodeLayout layout = find_node_layout(comm);
    EXPECT_EQ(layout.nodes, 1);
    EXPECT_EQ(layout.ranks_on_node, 3);
    EXPECT_EQ(layout.node_rank.value, comm.rank().value);
    EXPECT_EQ(layout.ranks_sharing_processors, 3);
    EXPECT_EQ(layout.position_among_sharers, comm.rank().value);
  });
}

TEST(ReplicaGroup, has_a_rank_of_each_part) {
  run_ranks(6, [](Communicator& comm) {
    const int me = comm.rank().value;
    ReplicaGroup group(comm, 2);
    device::Context context(1);
    std::vector<int> members(2);
    group.data_plane().all_gather_rows<int>(context, {&me, 1}, members, Vector<index_t>(2, 1), 1);
    EXPECT_EQ(members, (std::vector<int>{me % 3, me % 3 + 3}));
    EXPECT_EQ(group.data_plane().rank().value, me / 3);
  });
}

}  // namespace
}  // namespace switchyard::comm
