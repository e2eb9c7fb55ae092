#include "study/run_state.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "files/replacement.hpp"
#include "run/summary.hpp"

namespace switchyard::study {
namespace {

// What changes neither the weights nor what is measured of them, and which run it is.
bool is_free(const config::Field& field) {
  return field.role == config::Role::run || field.role == config::Role::placement ||
         field.role == config::Role::output;
}

std::filesystem::path failure_file(const std::filesystem::path& folder) { return folder / "failed.json"; }
std::filesystem::path skip_file(const std::filesystem::path& folder) { return folder / "skipped.json"; }

void write_object(const std::filesystem::path& path, const nlohmann::ordered_json& object) {
  files::replace_file(path,
                      object.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n");
}

}  // namespace

std::string_view name(RunStatus status) {
  constexpr std::string_view names[] = {"missing", "unfinished", "finished", "failed", "skipped"};
  return names[as_size(status)];
}

RunStatus run_status(const std::filesystem::path& folder) {
  std::error_code ignored;
  if (std::filesystem::exists(failure_file(folder), ignored)) return RunStatus::failed;
  if (run::finished_summary(folder / "summary.json")) return RunStatus::finished;
  const bool begun = std::filesystem::exists(folder / "config.ini", ignored);
  if (begun) return RunStatus::unfinished;
  return std::filesystem::exists(skip_file(folder), ignored) ? RunStatus::skipped : RunStatus::missing;
}

void record_failure(const std::filesystem::path& folder, ErrorKind kind, std::string_view message) {
  write_object(failure_file(folder), {{"kind", switchyard::name(kind)}, {"message", message}});
}

void record_skip(const std::filesystem::path& folder, std::string_view reason) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) files::throw_data_error(files::SystemFailure("make the folder", folder, error.value()));
  write_object(skip_file(folder), {{"reason", reason}});
}

void remove_skip(const std::filesystem::path& folder) {
  std::error_code error;
  std::filesystem::remove(skip_file(folder), error);
  if (error) files::throw_data_error(files::SystemFailure("remove", skip_file(folder), error.value()));
}

std::string reason_to_skip(const Spec& spec, const Job& job,
                           const std::vector<std::optional<std::size_t>>& selected) {
  for (const std::string& name : spec.arms[job.arm].after) {
    const auto arm = as_size(find_arm(spec, name));
    if (!selected[arm]) return fmt::format("of {} no values were selected", name);
    const RunStatus status =
        run_status(std::filesystem::path(spec.options.dir) / result_folder(spec.arms[arm], job.seed));
    if (status == RunStatus::failed || status == RunStatus::skipped)
      return fmt::format("the run of {} with this seed {}", name,
                         status == RunStatus::failed ? "failed" : "was skipped");
  }
  return {};
}

void check_same_run(const std::filesystem::path& folder, const Job& job, const Spec& spec,
                    const ReadConfig& read_config) {
  const std::filesystem::path file = folder / "config.ini";
  std::error_code ignored;
  if (!std::filesystem::exists(file, ignored)) return;
  const run::Config stored = read_config(file.string());
  for (const run::Difference& changed : run::differences(stored, job.config)) {
    if (is_free(*changed.key->field)) continue;
    throw ConfigError(fmt::format(
        "the run in {} has {} = {}, and the arm {} of {} now says {} (runs of two configurations "
        "would meet in one table); put the key back, use another --study.dir=PATH, or remove that "
        "run's folder",
        folder.string(), changed.key->name, changed.then, spec.arms[job.arm].name, spec.file, changed.now));
  }
}

}  // namespace switchyard::study
