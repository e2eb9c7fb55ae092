// Counts the bytes that this process gives to MPI for other ranks, through MPI's profiling interface.
#pragma once

#include <cstdint>

namespace switchyard::comm {

// Since the last reset. Point to point, all-to-all and all-gather: bytes for other ranks, each receiver
// counted; broadcast: on the root. Reductions and barriers do not count.
std::int64_t mpi_payload_bytes();
void reset_mpi_payload();

}  // namespace switchyard::comm
