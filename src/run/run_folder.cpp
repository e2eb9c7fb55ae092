#include "run/run_folder.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <system_error>
#include <utility>

#include "base/error.hpp"
#include "files/folder_lock.hpp"
#include "files/regular_file.hpp"
#include "files/replacement.hpp"
#include "run/summary.hpp"

namespace switchyard::run {
namespace {

std::string why_no_run(const std::filesystem::path& path) {
  std::error_code error;
  const std::filesystem::file_status status = std::filesystem::status(path, error);
  if (status.type() == std::filesystem::file_type::not_found) return "it does not exist";
  if (error) return error.message();
  return std::filesystem::is_directory(status) ? "it has neither a config.ini nor checkpoints" : "it is a file";
}

constexpr files::LockWords run_folder_lock{.folder = "run folder", .writer = "run", .key = "run.dir"};

// As create_directories(); returns what was not there before, inner folders last.
std::vector<std::filesystem::path> make_folders(const std::filesystem::path& path, std::error_code& error) {
  std::vector<std::filesystem::path> made;
  std::error_code ignored;
  for (std::filesystem::path folder = path;
       !folder.empty() && !std::filesystem::exists(std::filesystem::symlink_status(folder, ignored));
       folder = folder.parent_path())
    made.insert(made.begin(), folder);
  std::filesystem::create_directories(path, error);
  return made;
}

}  // namespace

RunFolder::RunFolder(std::filesystem::path path) : path_(std::move(path)) {}

RunFolder RunFolder::create(const std::filesystem::path& path, ResumeMode mode) {
  RunFolder folder(path);
  folder.make();
  // First: of a folder that is in use, this is what the user must know.
  folder.lock_ = files::lock_folder(path, run_folder_lock);
  if (mode == ResumeMode::never && folder.has_run()) {
    throw DataError(fmt::format(
        "the folder '{0}' already holds a run (it has a config.ini or checkpoints); go on with it by "
        "`switchyard resume {0}`, let one command start or go on with --run.resume=auto, or use another "
        "folder (--run.dir=PATH)",
        path.string()));
  }
  folder.expect_own_files();
  return folder;
}

RunFolder RunFolder::open(const std::filesystem::path& path) {
  RunFolder folder(path);
  if (!folder.has_run()) {
    throw DataError(fmt::format(
        "there is no run in '{0}' ({1}); give the folder that `switchyard train` made, or start a run "
        "there with `switchyard train FILE.ini --run.dir={0}`",
        path.string(), why_no_run(path)));
  }
  folder.make();
  folder.lock_ = files::lock_folder(path, run_folder_lock);
  folder.expect_own_files();
  return folder;
}

// Now, and not when the run ends: what will be written replaces nothing that is another's.
void RunFolder::expect_own_files() const {
  for (const std::filesystem::path& file :
       {metrics_file(), summary_file(), checkpoint_folder() / "latest", checkpoint_folder() / "best"})
    files::expect_replaceable(file, "", files::run_place);
  if (has_run()) return;
  for (const std::filesystem::path& file : {metrics_file(), summary_file()}) {
    if (!files::is_there(file)) continue;
    throw DataError(fmt::format(
        "there is a '{}' and no config.ini (it is another program's, or of a run whose config.ini was taken away); "
        "move it, or use another folder ({})",
        file.string(), files::run_place));
  }
}

void RunFolder::expect_held() const {
  if (lock_.has_its_name()) return;
  throw DataError(fmt::format(
      "'{}' is gone or another file now (somebody took it away, and a second run may be writing to this folder); see "
      "that no other run is there, then `switchyard resume {}`",
      lock_.path().string(), path_.string()));
}

RunFolder::~RunFolder() {
  if (made_.empty() || !lock_) return;
  std::error_code error;
  if (std::filesystem::exists(config_file(), error) || error) return;
  ::unlink((path_ / "lock").c_str());
  // rmdir(2) leaves what somebody has put something into.
  ::rmdir(checkpoint_folder().c_str());
  std::for_each(made_.rbegin(), made_.rend(), [](const auto& folder) { ::rmdir(folder.c_str()); });
}

void RunFolder::make() {
  std::error_code error;
  made_ = make_folders(path_, error);
  if (error) files::throw_data_error(files::SystemFailure("make the run folder", path_, error.value()));
  std::filesystem::create_directories(checkpoint_folder(), error);
  if (error)
    files::throw_data_error(files::SystemFailure("make the folder", checkpoint_folder(), error.value()));
}

bool RunFolder::has_run() const {
  std::error_code error;
  return std::filesystem::exists(config_file(), error) || has_checkpoint();
}

bool RunFolder::has_checkpoint() const {
  std::error_code error;
  for (std::filesystem::directory_iterator entry(checkpoint_folder(), error), end; !error && entry != end;
       entry.increment(error)) {
    const std::filesystem::path& file = entry->path();
    if (file.extension() == ".h5" && file.stem().string().starts_with("step-")) return true;
  }
  // Otherwise a run whose checkpoints may not be read would begin again.
  if (error == std::errc::permission_denied)
    files::throw_data_error(files::SystemFailure("look into", checkpoint_folder(), error.value()));
  return false;
}

void RunFolder::write_config(std::string_view text) const { files::replace_file(config_file(), text); }

bool RunFolder::has_result_of(index_t steps) const {
  const std::optional<nlohmann::json> summary = finished_summary(summary_file());
  return summary && summary->value("steps", nlohmann::json()) == nlohmann::json(steps);
}

void RunFolder::write_summary(const nlohmann::ordered_json& summary) const {
  // Paths and reasons may hold bytes that are no UTF-8: they are replaced, since the file must stay valid JSON.
  files::replace_file(summary_file(),
                      summary.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n");
}

}  // namespace switchyard::run
