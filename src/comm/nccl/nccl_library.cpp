#include "comm/nccl/nccl_library.hpp"

#include <cuda_runtime_api.h>
#include <fmt/format.h>

#include <array>

#include "base/error.hpp"
#include "comm/nccl/nccl.hpp"
#include "device/cuda/check.hpp"

namespace switchyard::comm::nccl {
namespace {

template <class Function>
Function required(const SharedLibrary& library, const char* name) {
  const Function found = library.function<Function>(name);
  if (found == nullptr) {
    throw NcclError(
        fmt::format("{} has no function {} (it is no NCCL, or too old); install NCCL 2.18 or newer, "
                    "or set comm.data_plane = mpi",
                    library.path(), name));
  }
  return found;
}

Functions open() {
  SharedLibrary library({.folders_variable = "SWITCHYARD_CUDA_LIBRARIES",
                         .soname = "libnccl.so.2",
                         .last_folder = "/usr/local/cuda/lib64"});
  if (!library) {
    throw NcclError(
        fmt::format("there is no NCCL ({}); install it, name its folder in SWITCHYARD_CUDA_LIBRARIES, or set "
                    "comm.data_plane = mpi",
                    library.why_none()));
  }
  const auto get = [&]<class Function>(const char* name, Function*& entry) {
    entry = required<Function*>(library, name);
  };
  Functions found{};
  get("ncclGetVersion", found.get_version);
  get("ncclGetUniqueId", found.get_unique_id);
  get("ncclCommInitRankConfig", found.comm_init_rank_config);
  get("ncclCommDestroy", found.comm_destroy);
  get("ncclCommAbort", found.comm_abort);
  get("ncclCommGetAsyncError", found.comm_get_async_error);
  get("ncclGroupStart", found.group_start);
  get("ncclGroupEnd", found.group_end);
  get("ncclSend", found.send);
  get("ncclRecv", found.receive);
  get("ncclAllReduce", found.all_reduce);
  get("ncclGetErrorString", found.error_string);
  get("ncclGetLastError", found.last_error);
  found.library = std::move(library);
  return found;
}

}  // namespace

const Functions& functions() {
  static const Functions& opened = *new Functions(open());
  return opened;
}

Library find_library() {
  Library found;
  try {
    const Functions& opened = functions();
    const ncclResult_t result = opened.get_version(&found.version);
    if (result == ncclSuccess) return {found.version, opened.library.path(), ""};
    found.why_none =
        fmt::format("ncclGetVersion failed ({}: {}); install NCCL 2.18 or newer, or set comm.data_plane = mpi",
                    opened.library.path(), opened.error_string(result));
  } catch (const NcclError& error) {
    found.why_none = error.what();
  }
  found.version = 0;
  return found;
}

// Since 2.9 two digits for each part but the first.
std::string version_text(int version) {
  return fmt::format("{}.{}.{}", version / 10000, version / 100 % 100, version % 100);
}

std::string current_gpu() {
  int device = 0;
  std::array<char, 32> place{};
  device::cuda::check(cudaGetDevice(&device), "cudaGetDevice");
  device::cuda::check(cudaDeviceGetPCIBusId(place.data(), place.size(), device), "cudaDeviceGetPCIBusId");
  return place.data();
}

}  // namespace switchyard::comm::nccl
