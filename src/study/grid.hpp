// An arm's grid: keys with several values, separated by `|`, in all combinations.
#pragma once

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

// A study of more runs than this is a mistake.
inline constexpr std::size_t most_combinations = 10'000;
inline constexpr std::size_t most_runs = 100'000;

// All combinations; the last key varies fastest. One, and empty, for an arm without a grid.
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

// "0003": a seed in the names of folders.
std::string seed_text(std::int64_t seed);

}  // namespace switchyard::study
