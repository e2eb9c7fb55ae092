// What a study's folder says about its runs: which are done, which failed, and whether they are still the runs
// that the study asks for.
#pragma once

#include <filesystem>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.hpp"
#include "config/config.hpp"
#include "train/study/jobs.hpp"

namespace switchyard::train::study {

enum class RunStatus {
  missing,     // never started
  unfinished,  // goes on from its newest checkpoint
  finished,
  failed,  // a NumericError; not repeated
};
std::string_view name(RunStatus status);

// Local; reads the folder. A summary that is damaged counts as unfinished: the run writes it again.
RunStatus run_status(const std::filesystem::path& folder);
inline bool is_done(RunStatus status) { return status == RunStatus::finished || status == RunStatus::failed; }

// summary.json of a finished run; nothing where there is none.
std::optional<nlohmann::json> read_summary(const std::filesystem::path& folder);

// Makes run_status() say `failed` from now on: failed.json with kind and message.
void record_failure(const std::filesystem::path& folder, ErrorKind kind, std::string_view message);

// Throws ConfigError if the job's folder holds a run whose stored configuration differs from the job's in
// anything that its results depend on; names the first such key.
void check_same_run(const std::filesystem::path& folder, const Job& job, const Spec& spec,
                    const ReadConfig& read_config);

}  // namespace switchyard::train::study
