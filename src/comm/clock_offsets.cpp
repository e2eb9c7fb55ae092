#include "comm/clock_offsets.hpp"

#include "base/timeline.hpp"

namespace switchyard::comm {
namespace {

constexpr int rounds = 32;

std::int64_t now_ns() { return Timeline::ns(Timeline::Clock::now()); }

ClockOffset ask(Communicator& communicator, GroupRank rank) {
  ClockOffset best;
  for (int round = 0; round < rounds; ++round) {
    const std::int64_t sent = now_ns();
    std::int64_t theirs = 0;
    communicator.send(std::span<const std::int64_t>(&sent, 1), rank);
    communicator.receive(std::span<std::int64_t>(&theirs, 1), rank);
    const std::int64_t received = now_ns();
    const std::int64_t middle = sent + (received - sent) / 2;
    if (round == 0 || received - sent < best.round_trip_ns) best = {middle, theirs - middle, received - sent};
  }
  return best;
}

void answer(Communicator& communicator, GroupRank root) {
  for (int round = 0; round < rounds; ++round) {
    std::int64_t theirs = 0;
    communicator.receive(std::span<std::int64_t>(&theirs, 1), root);
    const std::int64_t mine = now_ns();
    communicator.send(std::span<const std::int64_t>(&mine, 1), root);
  }
}

}  // namespace

std::vector<ClockOffset> clock_offsets(Communicator& communicator) {
  constexpr GroupRank root(0);
  if (!communicator.is_root()) {
    answer(communicator, root);
    return {};
  }
  std::vector<ClockOffset> offsets{{now_ns(), 0, 0}};
  for (int rank = 1; rank < communicator.size(); ++rank) offsets.push_back(ask(communicator, GroupRank(rank)));
  return offsets;
}

}  // namespace switchyard::comm
