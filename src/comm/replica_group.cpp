#include "comm/replica_group.hpp"

#include <fmt/format.h>

#include "base/error.hpp"

namespace switchyard::comm {

int ranks_per_replica(int ranks, int replicas) {
  if (replicas < 1 || ranks % replicas != 0) {
    throw ConfigError(fmt::format(
        "{} ranks cannot hold {} replicas of the experts (each replica needs equally many ranks); set "
        "moe.replicas to a divisor of the number of ranks",
        ranks, replicas));
  }
  return ranks / replicas;
}

}  // namespace switchyard::comm
