// A data plane takes its place among what the device computes: under every order of its work (the environment
// sets one).
#include <gtest/gtest.h>

#include <atomic>

#include "comm/threads/thread_group.hpp"
#include "device/transfer.hpp"
#include "simgpu/device.hpp"
#include "simgpu/nccl/planes.hpp"

namespace switchyard::comm {
namespace {

constexpr index_t count = 5000;

// Values that the queue of computing makes, moves on and reads, without a wait of the host between.
class Rows {
 public:
  explicit Rows(device::Context& context) : context_(context) {}

  Span<std::int64_t> make(std::int64_t first) {
    const Span<std::int64_t> host = context_.host_workspace().allocate<std::int64_t>(count);
    for (index_t i = 0; i < count; ++i) host[i] = first + i;
    return device::place(context_, host);
  }
  Span<std::int64_t> room(index_t rows) { return context_.workspace().allocate<std::int64_t>(rows); }

 private:
  device::Context& context_;
};

void check_steps(Plane& plane) {
  Rows rows(plane.context());
  const int ranks = plane.size(), me = plane.rank().value;
  const std::vector<index_t> each(as_size(ranks), count);
  for (std::int64_t step = 0; step < 5; ++step) {
    plane.context().reset_workspaces();
    const auto mine = rows.make(step * 1'000'000 + me * 10'000);
    const auto all = rows.room(ranks * count);
    plane.plane().all_gather_rows<std::int64_t>(plane.context(), mine, all, each, 1);
    plane.plane().all_reduce_sum(plane.context(), mine);  // not before it has been sent
    const auto gathered = device::fetch(plane.context(), all);
    const auto sums = device::fetch(plane.context(), mine);
    plane.context().wait();
    for (int r = 0; r < ranks; ++r) {
      for (index_t i = 0; i < count; i += 499)
        EXPECT_EQ(gathered[r * count + i], step * 1'000'000 + r * 10'000 + i);
    }
    for (index_t i = 0; i < count; i += 499) {
      const std::int64_t of_rank_0 = step * 1'000'000 + i;
      EXPECT_EQ(sums[i], ranks * of_rank_0 + 10'000 * ranks * (ranks - 1) / 2);
    }
  }
}

TEST(SimulatedOrder, what_is_computed_is_sent_and_what_arrives_is_computed_with) {
  for (const int ranks : {1, 2, 4}) {
    run_ranks(ranks, [](Communicator& communicator) {
      check_steps(*make_staged_plane(communicator));
      check_steps(*make_nccl_plane(communicator));
    });
  }
}

TEST(SimulatedOrder, the_host_waits_once_for_a_staged_call_and_never_for_one_of_nccl) {
  run_ranks(2, [](Communicator& communicator) {
    const auto waits = [&](Plane& plane) {
      Rows rows(plane.context());
      const auto mine = rows.make(0);
      const index_t before = plane.context().counters().waits;
      plane.plane().all_reduce_sum(plane.context(), mine);
      return plane.context().counters().waits - before;
    };
    const auto staged = make_staged_plane(communicator), over_nccl = make_nccl_plane(communicator);
    EXPECT_EQ(waits(*staged), 1);
    EXPECT_EQ(waits(*over_nccl), 0);
    over_nccl->context().wait();
    staged->context().wait();
  });
}

enum class Held { until_rows_have_come, for_some_turns };

// Rows of a plane whose queue of computing is held up behind where they are ready. Whether it still was when
// the rows had come.
bool rows_pass(Plane& plane, Held held, device::Event* ready) {
  device::Context& context = plane.context();
  Rows rows(context);
  const int ranks = plane.size(), me = plane.rank().value;
  const std::vector<index_t> each(as_size(ranks), count / ranks);
  std::vector<index_t> first(as_size(ranks));
  for (int r = 0; r < ranks; ++r) first[as_size(r)] = r * (count / ranks);
  const auto mine = rows.make(me * 10'000), theirs = rows.room(count);
  if (ready != nullptr) ready->record(context.compute());

  std::atomic<bool> released = false;
  std::atomic<int> turns = 0;
  simgpu::enqueue_until_done(static_cast<simgpu::Stream>(context.stream()), "held", [&] {
    if (held == Held::for_some_turns && ++turns == 3) released = true;
    return released.load();
  });
  plane.plane().all_to_all_rows<std::int64_t>(context, mine.data(), {each, first}, theirs.data(), {each, first},
                                              1, ready);
  device::Event come = context.make_event();
  come.record(context.messages());
  context.wait(come);
  const bool was_held = !released.exchange(true);

  const auto arrived = device::fetch(context, theirs);
  context.wait();
  for (int r = 0; r < ranks; ++r) EXPECT_EQ(arrived[first[as_size(r)]], r * 10'000 + first[as_size(me)]);
  return was_held;
}

TEST(SimulatedOrder, rows_travel_while_what_is_enqueued_behind_their_mark_is_computed) {
  run_ranks(2, [](Communicator& communicator) {
    for (const PlaneMaker& maker : plane_makers()) {
      SCOPED_TRACE(maker.name);
      const auto plane = maker.make(communicator);
      device::Event ready = plane->context().make_event();
      EXPECT_TRUE(rows_pass(*plane, Held::until_rows_have_come, &ready));
      EXPECT_FALSE(rows_pass(*plane, Held::for_some_turns, nullptr));
      plane->plane().set_overlap(false);
      EXPECT_FALSE(rows_pass(*plane, Held::for_some_turns, &ready));
    }
  });
}

}  // namespace
}  // namespace switchyard::comm
