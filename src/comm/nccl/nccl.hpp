// NCCL as the rooms outside know it: without its types. nccl_data_plane.cpp implements it; in a build without
// CUDA not_built.cpp does, and says so.
#pragma once

#include <memory>
#include <string>

#include "comm/communicator.hpp"
#include "comm/data_plane.hpp"

namespace switchyard::comm::nccl {

// The library that this machine has, opened at the first call that needs it.
struct Library {
  int version = 0;       // 22809 is 2.28.9; 0: there is none
  std::string file;      // empty if there is none
  std::string why_none;  // what was tried
};
// Never throws for want of a library.
Library find_library();
// 22809 -> "2.28.9".
std::string version_text(int version);

// The place of the calling thread's current GPU in this machine: "0000:0F:00.0".
std::string current_gpu();

// A plane over the ranks of `communicator`, which must outlive it, for a context of the calling thread's
// current GPU. All is enqueued in its messages(), between what its compute() holds before and after a call.
//
// Collective; ranks agree on failures. NcclError where there is no library or NCCL fails, TimeoutError where a
// rank does not come.
std::unique_ptr<DataPlane> make_data_plane(Communicator& communicator);

}  // namespace switchyard::comm::nccl
