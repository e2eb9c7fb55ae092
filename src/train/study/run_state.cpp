#include "train/study/run_state.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <nlohmann/json.hpp>

#include "config/parse.hpp"
#include "train/detail/file.hpp"

namespace switchyard::train::study {
namespace {

// What changes neither the weights nor what is measured of them, and the study's own keys.
constexpr std::array<std::string_view, 9> free_keys = {"run.dir",
                                                       "run.resume",
                                                       "run.threads",
                                                       "run.device",
                                                       "run.max_minutes",
                                                       "run.wait_seconds",
                                                       "train.log_every_steps",
                                                       "checkpoint.every_steps",
                                                       "checkpoint.keep_last"};

std::filesystem::path failure_file(const std::filesystem::path& folder) { return folder / "failed.json"; }

}  // namespace

std::string_view name(RunStatus status) {
  switch (status) {
    case RunStatus::missing:
      return "missing";
    case RunStatus::unfinished:
      return "unfinished";
    case RunStatus::finished:
      return "finished";
    case RunStatus::failed:
      return "failed";
  }
  return "";
}

std::optional<nlohmann::json> read_summary(const std::filesystem::path& folder) {
  std::ifstream file(folder / "summary.json");
  if (!file) return std::nullopt;
  nlohmann::json summary = nlohmann::json::parse(file, nullptr, /*allow_exceptions=*/false);
  if (!summary.is_object() || !summary.contains("exit") || !summary["exit"].is_object()) return std::nullopt;
  const auto code = summary["exit"].find("code");
  if (code == summary["exit"].end() || *code != static_cast<int>(ExitCode::ok)) return std::nullopt;
  return summary;
}

RunStatus run_status(const std::filesystem::path& folder) {
  std::error_code ignored;
  if (std::filesystem::exists(failure_file(folder), ignored)) return RunStatus::failed;
  if (read_summary(folder)) return RunStatus::finished;
  const bool begun = std::filesystem::exists(folder / "config.ini", ignored);
  return begun ? RunStatus::unfinished : RunStatus::missing;
}

void record_failure(const std::filesystem::path& folder, ErrorKind kind, std::string_view message) {
  const nlohmann::ordered_json object = {{"kind", switchyard::name(kind)}, {"message", message}};
  detail::ReplacementFile file(failure_file(folder));
  file.write(object.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n");
  file.publish();
}

void check_same_run(const std::filesystem::path& folder, const Job& job, const Spec& spec,
                    const ReadConfig& read_config) {
  const std::filesystem::path file = folder / "config.ini";
  std::error_code ignored;
  if (!std::filesystem::exists(file, ignored)) return;
  const config::Config stored = read_config(file.string());
  for (const std::string& key : config::known_keys()) {
    if (std::ranges::find(free_keys, key) != free_keys.end()) continue;
    const config::Field& field = config::find_field(key, spec.file);
    const std::string then = config::value_text(stored, field);
    const std::string now = config::value_text(job.config, field);
    if (then == now) continue;
    throw ConfigError(
        fmt::format("the run in {} has {} = {}, and the arm {} of {} now says {} (runs of two configurations "
                    "would meet in one "
                    "table); put the key back, use another --study.dir=PATH, or remove that run's folder",
                    folder.string(), key, then, spec.arms[job.arm].name, spec.file, now));
  }
}

}  // namespace switchyard::train::study
