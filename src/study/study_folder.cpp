#include "study/study_folder.hpp"

#include <system_error>

#include "checkpoint/checkpoint.hpp"
#include "files/folder_lock.hpp"
#include "files/regular_file.hpp"
#include "files/replacement.hpp"

namespace switchyard::study {
namespace {

constexpr std::string_view study_place = "--study.dir=PATH";
constexpr files::LockWords study_lock{.folder = "study's folder", .writer = "study", .key = "study.dir"};

files::File make_and_lock(const std::filesystem::path& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error)
    files::throw_data_error(files::SystemFailure("make the study's folder", path, error.value()), study_place);
  files::File lock = files::lock_folder(path, study_lock);
  // Now, and not after all runs: none of them replaces what is another's.
  for (const char* const name : {"runs.csv", "study.md", "study.json"})
    files::expect_replaceable(path / name, "", study_place);
  return lock;
}

}  // namespace

StudyFolder::StudyFolder(const std::filesystem::path& path) : path_(path), lock_(make_and_lock(path)) {}

void StudyFolder::write(std::string_view name, std::string_view text) const {
  files::ReplacementFile file(path_ / name, study_place);
  file.write(text);
  file.publish();
}

void remove_checkpoints(const std::filesystem::path& run_folder) {
  const std::filesystem::path folder = run_folder / "checkpoints";
  if (checkpoint::keep_best_alone(folder)) return;
  std::error_code error;
  std::filesystem::remove_all(folder, error);
  if (error) files::throw_data_error(files::SystemFailure("remove", folder, error.value()), study_place);
}

bool has_best_checkpoint(const std::filesystem::path& run_folder) {
  std::error_code ignored;
  return std::filesystem::exists(run_folder / "checkpoints" / "best", ignored);
}

}  // namespace switchyard::study
