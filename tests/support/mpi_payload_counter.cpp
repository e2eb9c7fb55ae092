// Each MPI_ function here hides the library's own, counts, and calls it by its second name, PMPI_.
#include "support/mpi_payload_counter.hpp"

#define OMPI_SKIP_MPICXX 1
#define MPICH_SKIP_MPICXX 1
#include <mpi.h>

namespace switchyard::comm {
namespace {

std::int64_t payload_bytes = 0;
std::int64_t self_payload_bytes = 0;

int rank_in(MPI_Comm comm) {
  int rank = 0;
  PMPI_Comm_rank(comm, &rank);
  return rank;
}

int size_of(MPI_Comm comm) {
  int size = 0;
  PMPI_Comm_size(comm, &size);
  return size;
}

void count(std::int64_t elements, MPI_Datatype type, std::int64_t& total_bytes = payload_bytes) {
  int bytes = 0;
  PMPI_Type_size(type, &bytes);
  total_bytes += elements * bytes;
}

}  // namespace

std::int64_t mpi_payload_bytes() { return payload_bytes; }
std::int64_t mpi_self_payload_bytes() { return self_payload_bytes; }
void reset_mpi_payload() { payload_bytes = self_payload_bytes = 0; }

extern "C" {

int MPI_Alltoallv(const void* send, const int send_counts[], const int send_offsets[], MPI_Datatype send_type,
                  void* recv, const int recv_counts[], const int recv_offsets[], MPI_Datatype recv_type,
                  MPI_Comm comm) {
  for (int r = 0; r < size_of(comm); ++r) {
    count(send_counts[r], send_type, r == rank_in(comm) ? self_payload_bytes : payload_bytes);
  }
  return PMPI_Alltoallv(send, send_counts, send_offsets, send_type, recv, recv_counts, recv_offsets, recv_type,
                        comm);
}

int MPI_Alltoall(const void* send, int send_count, MPI_Datatype send_type, void* recv, int recv_count,
                 MPI_Datatype recv_type, MPI_Comm comm) {
  count(std::int64_t{send_count} * (size_of(comm) - 1), send_type);
  return PMPI_Alltoall(send, send_count, send_type, recv, recv_count, recv_type, comm);
}

int MPI_Allgatherv(const void* send, int send_count, MPI_Datatype send_type, void* recv,
                   const int recv_counts[], const int recv_offsets[], MPI_Datatype recv_type, MPI_Comm comm) {
  count(std::int64_t{recv_counts[rank_in(comm)]} * (size_of(comm) - 1), recv_type);
  return PMPI_Allgatherv(send, send_count, send_type, recv, recv_counts, recv_offsets, recv_type, comm);
}

int MPI_Bcast(void* data, int elements, MPI_Datatype type, int root, MPI_Comm comm) {
  if (root == rank_in(comm)) count(std::int64_t{elements} * (size_of(comm) - 1), type);
  return PMPI_Bcast(data, elements, type, root, comm);
}

int MPI_Send(const void* data, int elements, MPI_Datatype type, int to, int tag, MPI_Comm comm) {
  if (to != rank_in(comm)) count(elements, type);
  return PMPI_Send(data, elements, type, to, tag, comm);
}

int MPI_Isend(const void* data, int elements, MPI_Datatype type, int to, int tag, MPI_Comm comm,
              MPI_Request* request) {
  if (to != rank_in(comm)) count(elements, type);
  return PMPI_Isend(data, elements, type, to, tag, comm, request);
}

}  // extern "C"

}  // namespace switchyard::comm
