// Counts the bytes that this process gives to MPI for other ranks, through MPI's profiling interface.
#pragma once

#include <cstdint>

namespace switchyard::comm {

// Since the last reset. Point to point, all-to-all and all-gather: bytes for other ranks, each receiver
// counted; broadcast: on the root. Reductions and barriers do not count.
std::int64_t mpi_payload_bytes();
// Of all-to-alls with counts: bytes given to MPI for the sending rank itself, which a copy would do.
std::int64_t mpi_self_payload_bytes();
void reset_mpi_payload();

}  // namespace switchyard::comm
