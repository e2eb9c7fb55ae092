// What a configuration says about messages between ranks: [comm].
#pragma once

#include "config/schema.hpp"

namespace switchyard::comm {

enum class PlaneKind { automatic, mpi, nccl };

struct Options {
  PlaneKind data_plane = PlaneKind::automatic;
  bool overlap = true;
};

config::Section section();

}  // namespace switchyard::comm
