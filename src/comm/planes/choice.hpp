// Which data plane the ranks of a group can have. Apart from what asks the machine, for tests.
#pragma once

#include <string>
#include <string_view>

#include "base/ids.hpp"
#include "base/span.hpp"
#include "comm/options.hpp"

namespace switchyard::comm {

// What a rank tells the others of its GPU and its NCCL. Plain bytes.
struct RankGpu {
  char host[256] = {};            // ends with a zero
  char gpu[32] = {};              // its place in the host, likewise: "0000:0F:00.0"
  std::int32_t nccl_version = 0;  // 22809 is 2.28.9; 0: there is none
  std::int32_t has_host_id =
      0;  // NCCL_HOSTID is set, by which NCCL takes ranks of one GPU for ranks of two hosts
};
RankGpu make_rank_gpu(std::string_view host, std::string_view gpu, int nccl_version, bool has_host_id);

struct PlaneChoice {
  PlaneKind kind = PlaneKind::mpi;  // never automatic
  std::string why;                  // "each rank has a GPU of its own"
};

// The same on all ranks, for it looks at nothing else. AgreedError (config) where NCCL is asked for and would
// refuse.
PlaneChoice choose_data_plane(PlaneKind asked, Span<const RankGpu> ranks);

// Two ranks with one GPU: the lowest such. Neither where each has one of its own.
struct SharedGpu {
  int rank = -1;
  int other_rank = -1;
  explicit operator bool() const { return rank >= 0; }
};
SharedGpu find_shared_gpu(Span<const RankGpu> ranks);

}  // namespace switchyard::comm
