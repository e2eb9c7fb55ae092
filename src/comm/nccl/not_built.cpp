// NCCL in a build without CUDA.
#include "base/error.hpp"
#include "comm/nccl/nccl.hpp"

namespace switchyard::comm::nccl {
namespace {

[[noreturn]] void not_built() {
  throw NotBuilt(
      "cannot use NCCL (this build has no CUDA); set comm.data_plane = mpi, or configure with the preset `cuda`");
}

}  // namespace

Library find_library() { return {.version = 0, .file = {}, .why_none = "this build has no CUDA"}; }
std::string version_text(int /*version*/) { return "none"; }
std::string current_gpu() { not_built(); }
std::unique_ptr<DataPlane> make_data_plane(Communicator& /*communicator*/) { not_built(); }

}  // namespace switchyard::comm::nccl
