// Which of a run's checkpoints: the newest whole one, or one by its name.

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>

#include "base/log.hpp"
#include "checkpoint/checkpoint.hpp"
#include "checkpoint/detail/failure.hpp"
#include "checkpoint/detail/publish.hpp"
#include "checkpoint/detail/user_block.hpp"
#include "files/regular_file.hpp"

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

// What `look` finds in `folder`; DataError if that cannot be looked into.
template <class Look>
auto look_into(const fs::path& folder, const Look& look) {
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
    return look();
  } catch (const fs::filesystem_error& failure) {
    throw DataError(fmt::format("cannot look into '{}' ({}); check its permissions", folder.string(),
                                failure.code().message()));
  }
}

// "best (step 20), latest (step 40), 30, 40", of the files that are there.
std::string describe_checkpoints(const fs::path& folder) {
  std::vector<std::string> names;
  for (const char* pointer : {detail::best_pointer, detail::latest_pointer}) {
    const auto target = detail::pointer_target(folder, pointer);
    if (target && files::is_there(folder / *target))
      names.push_back(fmt::format("{} (step {})", pointer, *detail::step_of(*target)));
  }
  for (const index_t step : detail::steps_in(folder)) names.push_back(fmt::format("{}", step));
  return names.empty() ? "none" : fmt::format("{}", fmt::join(names, ", "));
}

// The file name that `name` stands for; nothing for a pointer that is not there.
std::optional<std::string> file_name_of(const fs::path& folder, std::string_view name) {
  for (const char* pointer : {detail::best_pointer, detail::latest_pointer})
    if (name == pointer) return detail::pointer_target(folder, pointer);
  index_t step = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), step);
  if (error != std::errc{} || end != name.data() + name.size() || step < 0) {
    throw ConfigError(
        fmt::format("'{}' names no checkpoint (in '{}' there are: {}); give best, latest or a step", name,
                    folder.string(), describe_checkpoints(folder)));
  }
  return detail::file_name(step);
}

}  // namespace

fs::path named(const fs::path& folder, std::string_view name) {
  return look_into(folder, [&] {
    const std::optional<std::string> file = file_name_of(folder, name);
    if (file && files::is_there(folder / *file)) return folder / *file;
    throw DataError(fmt::format("there is no checkpoint '{}' in '{}' (there are: {}); give one of these", name,
                                folder.string(), describe_checkpoints(folder)));
  });
}

fs::path newest_valid(const fs::path& folder) {
  const std::vector<std::string> names = look_into(folder, [&] { return candidates(folder); });
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
      fmt::format("there is no whole checkpoint in '{}' ({}); {}start the run again with `switchyard train`",
                  folder.string(), reason, names.empty() ? "" : "mend that, bring back a copy of one, or "));
}

std::filesystem::path path_of(const std::filesystem::path& folder, index_t step) {
  return folder / detail::file_name(step);
}

}  // namespace switchyard::checkpoint
