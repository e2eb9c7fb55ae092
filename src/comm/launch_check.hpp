// How this process was started, as its environment tells.
#pragma once

#include <functional>
#include <optional>
#include <string>

namespace switchyard::comm {

// The value of an environment variable, or null: std::getenv's shape, so that tests bring their own.
using EnvironmentLookup = std::function<const char*(const char* name)>;
const char* process_environment(const char* name);

// What a launcher left in the environment of each process that it started.
struct Launch {
  std::string launcher;  // "mpirun", "srun" ...
  int processes = 1;     // how many it started, as far as can be proved
  int process = 0;       // which of them this is
};

// Variables that a batch system sets for a whole job prove nothing: a plain run inside sbatch or salloc sees
// SLURM_NTASKS=4 and SLURM_PROCID=0 though nobody started four of it. SLURM_STEP_NUM_TASKS is set by srun
// alone, and is 1 in the interactive step that salloc may put the user's shell in.
// Nothing for a plain run, which starts no MPI.
std::optional<Launch> find_launch(const EnvironmentLookup& environment = process_environment);

// Call once MPI is up. Throws ConfigError if a launcher started several processes and each sees a world of one:
// they would all train the same model and overwrite each other's files. Every process throws; only the one with
// find_launch()->process == 0 needs to print it.
void check_world_size(int world_size, const EnvironmentLookup& environment = process_environment);

}  // namespace switchyard::comm
