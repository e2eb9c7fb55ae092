// The runs of a study, and which group of ranks makes which. An arm's grid: keys with several values, separated
// by `|`, in all combinations.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "study/spec.hpp"

namespace switchyard::study {

// Key and value of every key that has several, in the order of the file.
using Values = std::vector<std::pair<std::string, std::string>>;

// The values of a setting, without white space around them; of moe.partition always one. ConfigError if one is
// empty or there twice.
std::vector<std::string> values_of(const Setting& setting);

// All combinations; the last key varies fastest. One, and empty, for an arm without a grid. ConfigError for
// more than a study can make.
std::vector<Values> combinations(const Arm& arm);

// "moe.importance=0.2 moe.top_k=2"; empty for no values.
std::string text_of(const Values& values);
// The same as a folder's name: a function of `values` alone, and different for different values.
std::string label_of(const Values& values);

// The configuration of one run, validated: the arm's file, then [all], then the arm's keys with these values.
// In values {seed} is the seed in four digits and {study} the study's folder. `folder` becomes run.dir.
// ConfigError for a key or a whole that a run would refuse.
run::Config run_config(const Spec& spec, const Arm& arm, const Values& values, std::int64_t seed,
                       const std::string& folder);

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

// The run of the selection that a result's run would repeat: the same values and seed, and as many epochs.
// Empty if there is none.
std::string same_selection_folder(const Spec& spec, const Job& result);

// Which of `jobs` (indices) each of `groups` groups makes, in order: job i goes to group i mod groups, so that
// every group has equally many of every arm; a group makes its own by seed, so that all arms go on together.
std::vector<std::vector<std::size_t>> assign_round_robin(const std::vector<Job>& jobs, int groups);

}  // namespace switchyard::study
