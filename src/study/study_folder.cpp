#include "study/study_folder.hpp"

#include <system_error>

#include "checkpoint/checkpoint.hpp"
#include "files/folder_lock.hpp"
#include "files/regular_file.hpp"
#include "files/replacement.hpp"

namespace switchyard::study {

files::File make_and_lock(const std::filesystem::path& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error)
    files::throw_data_error(files::SystemFailure("make the study's folder", folder, error.value()),
                            study_place);
  files::File lock =
      files::lock_folder(folder, {.folder = "study's folder", .writer = "study", .key = "study.dir"});
  // Now, and not after all runs: none of them replaces what is another's.
  for (const char* const name : {"runs.csv", "study.md", "study.json"})
    files::expect_replaceable(folder / name, "", study_place);
  return lock;
}

void remove_checkpoints(const std::filesystem::path& run_folder) {
  const std::filesystem::path folder = run_folder / "checkpoints";
  if (checkpoint::keep_best_alone(folder)) return;
  std::error_code error;
  std::filesystem::remove_all(folder, error);
  if (error) files::throw_data_error(files::SystemFailure("remove", folder, error.value()), study_place);
}

void copy_run(const std::filesystem::path& from, const std::filesystem::path& to, std::string_view config) {
  const std::filesystem::path copy = to.string() + std::string(files::temporary_suffix);
  std::error_code error;
  const auto expect = [&](const char* what) {
    if (error) files::throw_data_error(files::SystemFailure(what, copy, error.value()), study_place);
  };
  std::filesystem::remove_all(copy, error);  // of a study that was killed
  if (!error) std::filesystem::create_directories(copy.parent_path(), error);
  if (!error) std::filesystem::copy(from, copy, std::filesystem::copy_options::recursive, error);
  expect("copy a run");
  files::replace_file(copy / "config.ini", config, study_place);
  std::filesystem::rename(copy, to, error);
  expect("rename");
}

bool has_best_checkpoint(const std::filesystem::path& run_folder) {
  std::error_code ignored;
  return std::filesystem::exists(run_folder / "checkpoints" / "best", ignored);
}

}  // namespace switchyard::study
