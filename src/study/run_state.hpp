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
#include "run/config.hpp"
#include "study/jobs.hpp"

namespace switchyard::study {

enum class RunStatus {
  missing,     // never started
  unfinished,  // goes on from its newest checkpoint
  finished,
  failed,   // a NumericError; not repeated
  skipped,  // a run that it comes after did not finish
};
std::string_view name(RunStatus status);

// Local; reads the folder. A summary that is damaged counts as unfinished: the run writes it again.
RunStatus run_status(const std::filesystem::path& folder);
// Nothing is left to do for it, as the folder stands.
inline bool is_done(RunStatus status) {
  return status == RunStatus::finished || status == RunStatus::failed || status == RunStatus::skipped;
}

// Makes run_status() say `failed` from now on: failed.json with kind and message.
void record_failure(const std::filesystem::path& folder, ErrorKind kind, std::string_view message);

// Makes run_status() say `skipped` of a run that never started, until the record is taken away: skipped.json
// with the reason.
void record_skip(const std::filesystem::path& folder, std::string_view reason);
void remove_skip(const std::filesystem::path& folder);

// Why a run cannot start: the first of the runs with its seed that it comes after did not give a result and
// never will ("the run of attentive with this seed failed"). Empty if it can. `selected` has one entry per arm.
// Local; for runs whose earlier levels have ended.
std::string reason_to_skip(const Spec& spec, const Job& job,
                           const std::vector<std::optional<std::size_t>>& selected);

// Throws ConfigError if the job's folder holds a run whose stored configuration differs from the job's in
// anything that its results depend on; names the first such key.
void check_same_run(const std::filesystem::path& folder, const Job& job, const Spec& spec,
                    const ReadConfig& read_config);

}  // namespace switchyard::study
