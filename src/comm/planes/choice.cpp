#include "comm/planes/choice.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.hpp"

namespace switchyard::comm {
namespace {

constexpr int shares_a_gpu_from_version = 23000;  // 2.30.0

bool same_gpu(const RankGpu& a, const RankGpu& b) {
  return std::string_view(a.host) == b.host && std::string_view(a.gpu) == b.gpu;
}

std::string sharers_text(SharedGpu shared, Span<const RankGpu> ranks) {
  return fmt::format("ranks {} and {} share the GPU {} of {}", shared.rank, shared.other_rank,
                     ranks[shared.rank].gpu, ranks[shared.rank].host);
}

std::string version_of(Span<const RankGpu> ranks) {
  const int version = ranks.front().nccl_version;
  return fmt::format("{}.{}.{}", version / 10000, version / 100 % 100, version % 100);
}

// What NCCL would refuse, as a reason; empty if nothing.
std::string refusal(Span<const RankGpu> ranks) {
  for (std::size_t r = 0; r < ranks.size(); ++r) {
    if (ranks[r].nccl_version == 0) return fmt::format("rank {} on {} has no NCCL", r, ranks[r].host);
  }
  const SharedGpu shared = find_shared_gpu(ranks);
  const bool may_share = std::ranges::all_of(ranks, [](const RankGpu& rank) {
    return rank.has_host_id != 0 || rank.nccl_version >= shares_a_gpu_from_version;
  });
  if (shared && !may_share) {
    return fmt::format("{}, which NCCL {} does not take", sharers_text(shared, ranks), version_of(ranks));
  }
  return {};
}

}  // namespace

RankGpu make_rank_gpu(std::string_view host, std::string_view gpu, int nccl_version, bool has_host_id) {
  RankGpu made;
  std::copy_n(host.begin(), std::min(host.size(), sizeof(made.host) - 1), made.host);
  std::copy_n(gpu.begin(), std::min(gpu.size(), sizeof(made.gpu) - 1), made.gpu);
  made.nccl_version = nccl_version;
  made.has_host_id = has_host_id ? 1 : 0;
  return made;
}

SharedGpu find_shared_gpu(Span<const RankGpu> ranks) {
  for (int r = 0; r < std::ssize(ranks); ++r) {
    for (int other = r + 1; other < std::ssize(ranks); ++other) {
      if (same_gpu(ranks[r], ranks[other])) return {r, other};
    }
  }
  return {};
}

PlaneChoice choose_data_plane(PlaneKind asked, Span<const RankGpu> ranks) {
  if (asked == PlaneKind::mpi) return {PlaneKind::mpi, "comm.data_plane = mpi"};
  if (asked == PlaneKind::automatic && ranks.size() == 1) return {PlaneKind::mpi, "there is one rank"};
  const std::string why_not = refusal(ranks);
  if (asked == PlaneKind::nccl) {
    if (why_not.empty()) return {PlaneKind::nccl, "comm.data_plane = nccl"};
    throw_agreed(
        ErrorKind::config,
        fmt::format(
            "comm.data_plane = nccl cannot be had ({}); set comm.data_plane = mpi, or give every rank a "
            "GPU of its own and NCCL (`switchyard doctor` shows both); ranks that share a GPU may set "
            "NCCL_HOSTID, each to a word of its own",
            why_not));
  }
  if (!why_not.empty()) return {PlaneKind::mpi, why_not};
  const SharedGpu shared = find_shared_gpu(ranks);
  if (!shared) return {PlaneKind::nccl, "each rank has a GPU of its own"};
  return {PlaneKind::nccl,
          fmt::format("{}, which NCCL {} was made to take", sharers_text(shared, ranks), version_of(ranks))};
}

}  // namespace switchyard::comm
