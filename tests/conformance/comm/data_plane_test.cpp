// The planes of batch-sized data over each communicator, against what the interface says.
#include <gtest/gtest.h>

#include <array>

#include "base/error.hpp"
#include "conformance/comm/harness.hpp"
#include "conformance/comm/planes.hpp"
#include "conformance/comm/row_checks.hpp"

namespace switchyard::comm {
namespace {

class DataPlanes : public OverCommunicators {
 protected:
  static void on_all_ranks(const std::function<void(Plane&, Communicator&)>& body) {
    OverCommunicators::on_all_ranks([&](Communicator& communicator) {
      for (const PlaneMaker& kind : plane_makers()) {
        SCOPED_TRACE(kind.name);
        const std::unique_ptr<Plane> plane = kind.make(communicator);
        body(*plane, communicator);
      }
    });
  }
};
INSTANTIATE_TEST_SUITE_P(All, DataPlanes, testing::ValuesIn(harnesses()), harness_name);

TEST_P(DataPlanes, are_of_the_ranks_of_their_communicator) {
  on_all_ranks([](Plane& plane, Communicator& comm) {
    EXPECT_EQ(plane.rank(), comm.rank());
    EXPECT_EQ(plane.size(), comm.size());
  });
}

TEST_P(DataPlanes, all_to_all_rows_delivers_every_row) {
  on_all_ranks([](Plane& plane, Communicator&) {
    check_rows_of_all_widths(plane);
    check_zero_rows_anywhere(plane);
    check_null_buffers(plane);
    check_block_in_place(plane);
  });
}

TEST_P(DataPlanes, all_gather_rows_concatenates_in_rank_order) {
  on_all_ranks([](Plane& plane, Communicator&) { check_all_gather_rows(plane); });
}

TEST_P(DataPlanes, all_reduce_sums_exactly) {
  on_all_ranks([](Plane& plane, Communicator&) {
    const std::int64_t big = (std::int64_t{1} << 60) / 64 + 1;  // no float64
    const std::int64_t n = plane.size(), me = plane.rank().value;
    std::array<std::int64_t, 3> sum{me, big * (me + 1), -1};
    plane.all_reduce_sum(sum);
    EXPECT_EQ(sum, (std::array<std::int64_t, 3>{n * (n - 1) / 2, big * n * (n + 1) / 2, -n}));
    plane.all_reduce_sum({});
  });
}

// As a plan does it: how many rows come is known from the control plane.
TEST_P(DataPlanes, take_their_turn_between_calls_of_the_control_plane) {
  on_all_ranks([](Plane& plane, Communicator& comm) {
    const int me = rank_of(comm);
    for (int step = 0; step < 20; ++step) {
      const Blocks out = spread(comm.size(), [&](int to) { return (me * 3 + to + step) % 5; });
      std::vector<index_t> arriving(as_size(comm.size()));
      comm.all_to_all<index_t>(out.rows, arriving, 1);
      const Blocks in = spread(comm.size(), [&](int from) { return arriving[as_size(from)]; });
      const std::vector<int> send(as_size(out.end), me * 100 + step);
      std::vector<int> recv(as_size(in.end), -1);
      plane.all_to_all_rows<int>(send.data(), out.layout(), recv.data(), in.layout(), 1);
      for (int from = 0; from < comm.size(); ++from) {
        for (index_t i = 0; i < arriving[as_size(from)]; ++i)
          EXPECT_EQ(recv[as_size(in.first_row[as_size(from)] + i)], from * 100 + step);
      }
      std::int64_t rows = 1;
      plane.all_reduce_sum({&rows, 1});
      EXPECT_EQ(rows, comm.size());
    }
  });
}

TEST_P(DataPlanes, refuse_wrong_layouts_before_any_rank_waits) {
  on_all_ranks([](Plane& plane, Communicator& comm) {
    std::vector<int> data(4);
    const std::vector<index_t> none(as_size(comm.size()), 0);
    const std::vector<index_t> too_many(as_size(comm.size() + 1), 0);
    std::vector<index_t> negative = none;
    negative.back() = -1;
    std::vector<index_t> one_to_oneself = none;
    one_to_oneself[as_size(rank_of(comm))] = 1;
    const auto exchange = [&](RowLayout send, RowLayout recv) {
      plane.all_to_all_rows<int>(data.data(), send, data.data(), recv, 1);
    };
    const RowLayout right{none, none};
    for (const RowLayout wrong : {RowLayout{too_many, none},
                                  {none, too_many},
                                  {negative, none},
                                  {none, negative},
                                  {one_to_oneself, none}}) {
      EXPECT_THROW(exchange(wrong, right), ContractViolation);
      EXPECT_THROW(exchange(right, wrong), ContractViolation);
    }
    EXPECT_THROW(plane.all_to_all_rows<int>(data.data(), right, data.data(), right, -1), ContractViolation);
    EXPECT_THROW(plane.all_gather_rows<int>(data, data, too_many, 1), ContractViolation);
    EXPECT_THROW(plane.all_gather_rows<int>(data, data, none, 1), ContractViolation);
    exchange(right, right);
    comm.barrier();
  });
}

}  // namespace
}  // namespace switchyard::comm
