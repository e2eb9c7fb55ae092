// Which checkpoint to resume from.

#include <fmt/format.h>

#include <algorithm>

#include "base/log.hpp"
#include "checkpoint/checkpoint.hpp"
#include "checkpoint/detail/posix_file.hpp"
#include "checkpoint/detail/publish.hpp"
#include "checkpoint/detail/user_block.hpp"

namespace switchyard::checkpoint {
namespace {

namespace fs = std::filesystem;

// In the order to try: what `latest` names, then older ones from new to old, then those beyond `latest`, which
// a crash has left between two renames or an earlier run before a resume. Without a pointer: from new to old.
std::vector<std::string> candidates(const fs::path& folder) {
  std::vector<index_t> steps = detail::steps_in(folder);
  std::reverse(steps.begin(), steps.end());
  std::vector<std::string> names;
  if (const auto target = detail::pointer_target(folder, detail::latest_pointer)) {
    const index_t latest = *detail::step_of(*target);
    std::erase(steps, latest);
    std::stable_partition(steps.begin(), steps.end(), [&](index_t step) { return step < latest; });
    names.push_back(*target);
  } else if (!steps.empty()) {
    log::warn("'{}' is missing or names no checkpoint; trying the files by their steps",
              (folder / detail::latest_pointer).string());
  }
  for (const index_t step : steps) names.push_back(detail::file_name(step));
  return names;
}

std::vector<std::string> candidates_or_throw(const fs::path& folder) {
  std::error_code error;
  const bool is_folder = fs::is_directory(folder, error);
  if (!is_folder) {
    throw DataError(fmt::format(
        "there is no checkpoint in '{}' ({}); give a run folder that `switchyard train` has made",
        folder.string(),
        error && error != std::errc::no_such_file_or_directory ? error.message()
                                                               : std::string("there is no such folder")));
  }
  try {
    return candidates(folder);
  } catch (const fs::filesystem_error& failure) {
    throw DataError(fmt::format("cannot look into '{}' ({}); check its permissions", folder.string(),
                                failure.code().message()));
  }
}

}  // namespace

fs::path newest_valid(const fs::path& folder) {
  const std::vector<std::string> names = candidates_or_throw(folder);
  std::string reason = "it holds none";
  for (const std::string& name : names) {
    try {
      detail::verify_bytes(folder / name);
      return folder / name;
    } catch (const detail::Failure& failure) {
      reason = fmt::format("{} tried; {}: {}", names.size(), name, failure.what());
      log::warn("passing over the checkpoint '{}' ({}); trying an older one", (folder / name).string(),
                failure.what());
    }
  }
  throw DataError(
      fmt::format("there is no whole checkpoint in '{}' ({}); start the run again with `switchyard train`",
                  folder.string(), reason));
}

std::filesystem::path path_of(const std::filesystem::path& folder, index_t step) {
  return folder / detail::file_name(step);
}

}  // namespace switchyard::checkpoint
