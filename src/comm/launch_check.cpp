#include "comm/launch_check.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <string_view>

#include "base/error.hpp"

namespace switchyard::comm {
namespace {

// A whole number of 0 or more; anything else counts as not set.
std::optional<int> number(const EnvironmentLookup& environment, const char* name) {
  const char* const value = environment(name);
  if (value == nullptr) return std::nullopt;
  const std::string_view text(value);
  int parsed = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), parsed);
  if (error != std::errc{} || end != text.data() + text.size() || parsed < 0) return std::nullopt;
  return parsed;
}

struct SizeAndRank {
  const char* launcher;
  const char* size;
  const char* rank;
};

// Most telling first: mpirun starts its daemons with srun inside a Slurm job, so its own variables win.
constexpr SizeAndRank sizes_and_ranks[] = {
    {"mpirun", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK"},
    {"mpirun", "MV2_COMM_WORLD_SIZE", "MV2_COMM_WORLD_RANK"},
    {"a PMI launcher (mpiexec or srun)", "PMI_SIZE", "PMI_RANK"},
};

}  // namespace

const char* process_environment(const char* name) { return std::getenv(name); }

std::optional<Launch> find_launch(const EnvironmentLookup& environment) {
  for (const SizeAndRank& names : sizes_and_ranks) {
    const std::optional<int> size = number(environment, names.size);
    if (size) return Launch{names.launcher, std::max(*size, 1), number(environment, names.rank).value_or(0)};
  }
  const std::optional<int> pmix_rank = number(environment, "PMIX_RANK");
  const std::optional<int> step_tasks = number(environment, "SLURM_STEP_NUM_TASKS");
  const std::optional<int> step_rank = number(environment, "SLURM_PROCID");
  // One task without PMIx needs no MPI.
  if (step_tasks && step_rank && (*step_tasks > 1 || pmix_rank)) {
    return Launch{"srun", std::max(*step_tasks, 1), *step_rank};
  }
  // PMIx tells the rank only: rank k proves k + 1 processes.
  if (pmix_rank) return Launch{"a PMIx launcher", *pmix_rank + 1, *pmix_rank};
  return std::nullopt;
}

void check_world_size(int world_size, const EnvironmentLookup& environment) {
  const std::optional<Launch> launch = find_launch(environment);
  if (world_size != 1 || !launch || launch->processes == 1) return;
  const std::string_view remedy =
      launch->launcher == "srun"
          ? "start with srun --mpi=pmix (srun --mpi=list shows what there is) or with mpirun"
          : "use the mpirun that belongs to the MPI library of this program (ldd shows it)";
  throw ConfigError(fmt::format(
      "{} started {}{} processes but each sees only itself (the launcher and the MPI library "
      "of this program do not find each other); {}",
      launch->launcher, launch->launcher == "a PMIx launcher" ? "at least " : "", launch->processes, remedy));
}

}  // namespace switchyard::comm
