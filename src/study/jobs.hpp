// The runs of a study, and which group of ranks makes which.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "study/grid.hpp"

namespace switchyard::study {

enum class Purpose { selection, result };

struct Job {
  std::size_t arm = 0;          // index into Spec::arms
  std::size_t combination = 0;  // index into combinations() of the arm
  Values values = {};
  std::int64_t seed = 0;
  Purpose purpose = Purpose::result;
  std::string folder = {};  // below the study's: "runs/original/seed-0001"
  run::Config config = {};
};

// Where the run of a result is, whichever values are selected.
std::string result_folder(const Arm& arm, std::int64_t seed);

// All selection runs of an arm, by combination and then by seed; none for an arm with one combination.
std::vector<Job> selection_jobs(const Spec& spec, std::size_t arm);
// The runs of an arm's results, with the combination that was selected.
std::vector<Job> result_jobs(const Spec& spec, std::size_t arm, std::size_t combination);

// Which of `jobs` (indices) each of `groups` groups makes, in order: job i goes to group i mod groups, so that
// every group has equally many of every arm; a group makes its own by seed, so that all arms go on together.
std::vector<std::vector<std::size_t>> assign_round_robin(const std::vector<Job>& jobs, int groups);

}  // namespace switchyard::study
