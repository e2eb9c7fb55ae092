// Messages from one rank to another.
#include <gtest/gtest.h>

#include <numeric>

#include "base/error.hpp"
#include "base/ids.hpp"
#include "conformance/comm/harness.hpp"

namespace switchyard::comm {
namespace {

class PointToPoint : public OverCommunicators {};
INSTANTIATE_TEST_SUITE_P(All, PointToPoint, testing::ValuesIn(harnesses()), harness_name);

TEST_P(PointToPoint, messages_of_a_pair_arrive_in_order) {
  on_all_ranks([](Communicator& comm) {
    // Rank 0 collects from each rank in turn: sizes 0, 1 and large.
    const std::vector<int> sizes{0, 1, 50000, 7};
    if (comm.is_root()) {
      for (int from = 1; from < comm.size(); ++from) {
        for (const int elements : sizes) {
          std::vector<int> data(as_size(elements), -1), expected(as_size(elements));
          std::iota(expected.begin(), expected.end(), from * elements);
          comm.receive(std::span(data), GroupRank(from));
          EXPECT_EQ(data, expected);
        }
      }
    } else {
      for (const int elements : sizes) {
        std::vector<int> data(as_size(elements));
        std::iota(data.begin(), data.end(), rank_of(comm) * elements);
        comm.send(std::span<const int>(data), GroupRank(0));
      }
    }
    comm.barrier();
  });
}

// What a master-worker protocol does: rank 0 deals one to each, and each answers.
TEST_P(PointToPoint, request_and_answer) {
  on_all_ranks([](Communicator& comm) {
    for (int worker = 1; worker < comm.size(); ++worker) {
      if (comm.is_root()) {
        const int request = 10 * worker;
        int answer = 0;
        comm.send(std::span<const int>(&request, 1), GroupRank(worker));
        comm.receive(std::span<int>(&answer, 1), GroupRank(worker));
        EXPECT_EQ(answer, 10 * worker + 1);
      } else if (rank_of(comm) == worker) {
        int request = 0;
        comm.receive(std::span<int>(&request, 1), GroupRank(0));
        const int answer = request + 1;
        comm.send(std::span<const int>(&answer, 1), GroupRank(0));
      }
    }
  });
}

// The library reports and the program goes on: error handlers are not left at abort.
TEST_P(PointToPoint, a_message_of_another_size_is_an_mpi_error) {
  on_all_ranks([](Communicator& comm) {
    for (const int expected_elements : {1, 5}) {
      const std::vector<int> data(3, 7);
      std::vector<int> received(as_size(expected_elements));
      if (rank_of(comm) == 1) comm.send(std::span<const int>(data), GroupRank(0));
      if (comm.size() > 1 && comm.is_root()) {
        try {
          comm.receive(std::span(received), GroupRank(1));
          ADD_FAILURE() << "receiving " << expected_elements << " of 3 elements did not throw";
        } catch (const MpiError& error) {
          EXPECT_NE(std::string(error.what()).find("rank 1"), std::string::npos) << error.what();
        }
      }
      comm.barrier();  // the group still works
    }
  });
}

}  // namespace
}  // namespace switchyard::comm
