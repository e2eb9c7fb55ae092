#include "comm/planes/make_data_plane.hpp"

#include <fmt/format.h>

#include <cstdlib>

#include "base/error.hpp"
#include "base/host_name.hpp"
#include "comm/agreement.hpp"
#include "comm/handshake.hpp"
#include "comm/host_data_plane.hpp"
#include "comm/nccl/nccl.hpp"
#include "comm/planes/choice.hpp"
#include "comm/staged_data_plane.hpp"

namespace switchyard::comm {
namespace {

MadeDataPlane on_processors(PlaneKind asked, Communicator& communicator) {
  if (asked == PlaneKind::nccl) {
    throw_agreed(
        ErrorKind::config,
        "comm.data_plane = nccl cannot be had (ranks compute on processors, and NCCL carries rows between GPUs); "
        "set comm.data_plane = auto, or run.device = cuda");
  }
  return {std::make_unique<HostDataPlane>(communicator), PlaneKind::mpi, ""};
}

// What all ranks know of all afterwards, for the one choice that they make.
std::vector<RankGpu> gather_gpus(PlaneKind asked, Communicator& communicator, const nccl::Library& library) {
  RankGpu mine;
  agree(communicator, [&] {
    if (asked == PlaneKind::nccl && library.version == 0)
      throw NcclError(fmt::format("comm.data_plane = nccl cannot be had: {}", library.why_none));
    mine =
        make_rank_gpu(host_name(), nccl::current_gpu(), library.version, std::getenv("NCCL_HOSTID") != nullptr);
  });
  return communicator.all_gather(mine);
}

MadeDataPlane over_nccl(const PlaneChoice& choice, const nccl::Library& library, Span<const RankGpu> gpus,
                        Communicator& communicator) {
  const Compared version{
      "the version of NCCL", nccl::version_text(library.version),
      "(its ranks would not understand each other); give every host the same library, or set "
      "comm.data_plane = mpi"};
  expect_same(communicator, ErrorKind::config, {&version, 1});
  // What a version that can do it wants to be told; a user's own word stands.
  if (find_shared_gpu(gpus)) ::setenv("NCCL_MULTI_RANK_GPU_ENABLE", "1", 0);
  return {nccl::make_data_plane(communicator), PlaneKind::nccl,
          fmt::format("NCCL {}: {}", version.value, choice.why)};
}

MadeDataPlane make_plane(PlaneKind asked, Communicator& communicator, const device::Context& context) {
  if (context.device() == device::DeviceKind::cpu) return on_processors(asked, communicator);
  // Not opened where nobody wants it.
  const bool may_be_nccl = asked != PlaneKind::mpi;
  const nccl::Library library = may_be_nccl ? nccl::find_library() : nccl::Library{};
  const std::vector<RankGpu> gpus = gather_gpus(asked, communicator, library);
  const PlaneChoice choice = choose_data_plane(asked, gpus);
  if (choice.kind == PlaneKind::nccl) return over_nccl(choice, library, gpus, communicator);
  return {std::make_unique<StagedDataPlane>(communicator, context), PlaneKind::mpi,
          fmt::format("MPI, through pinned memory: {}", choice.why)};
}

}  // namespace

MadeDataPlane make_data_plane(const Options& asked, Communicator& communicator,
                              const device::Context& context) {
  MadeDataPlane made = make_plane(asked.data_plane, communicator, context);
  made.plane->set_overlap(asked.overlap);
  return made;
}

}  // namespace switchyard::comm
