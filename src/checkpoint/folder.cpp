#include "checkpoint/detail/folder.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <memory>
#include <set>

#include "base/log.hpp"
#include "base/span.hpp"
#include "checkpoint/detail/user_block.hpp"
#include "files/regular_file.hpp"

namespace switchyard::checkpoint::detail {
namespace {

namespace fs = std::filesystem;

constexpr const char* latest_pointer = "latest";
constexpr const char* best_pointer = "best";
constexpr std::string_view name_prefix = "step-";
constexpr std::string_view name_suffix = ".h5";

std::optional<index_t> whole_number(std::string_view text) {
  index_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size() || number < 0) return std::nullopt;
  return number;
}

// The steps of which the folder has a file, ascending. Whether the files are whole is not looked at.
std::vector<index_t> steps_in(const fs::path& folder) {
  std::vector<index_t> steps;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
    const std::optional<index_t> step = step_of(entry.path().filename().string());
    if (step && entry.path().filename() == file_name(*step)) steps.push_back(*step);
  }
  std::sort(steps.begin(), steps.end());
  return steps;
}

// The file name in the pointer file; nothing if there is no pointer or it holds no name of a checkpoint.
std::optional<std::string> pointer_target(const fs::path& folder, const char* pointer) {
  constexpr std::size_t most_bytes = 4096;
  if (!files::is_there(folder / pointer)) return std::nullopt;
  const std::string text = files::read_regular_file(folder / pointer, most_bytes);
  const std::string target = text.substr(0, text.find('\n'));
  return step_of(target) ? std::optional(target) : std::nullopt;
}

bool is_leftover(std::string_view name) {
  if (!name.ends_with(files::temporary_suffix)) return false;
  name.remove_suffix(files::temporary_suffix.size());
  return step_of(name).has_value() || name == latest_pointer || name == best_pointer;
}

// Under its temporary name, on the disk.
std::unique_ptr<files::TemporaryName> write_pointer(const fs::path& folder, const char* pointer,
                                                    const std::string& target) {
  auto temporary = std::make_unique<files::TemporaryName>(folder / pointer);
  const files::File file(temporary->path(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW);
  file.write(target + "\n");
  file.sync();
  return temporary;
}

}  // namespace

std::string file_name(index_t step) { return fmt::format("{}{:07}{}", name_prefix, step, name_suffix); }

std::optional<index_t> step_of(std::string_view name) {
  if (!name.starts_with(name_prefix) || !name.ends_with(name_suffix)) return std::nullopt;
  name.remove_prefix(name_prefix.size());
  name.remove_suffix(name_suffix.size());
  return whole_number(name);
}

void remove_leftovers(const fs::path& folder) {
  std::vector<fs::path> leftovers;  // listed first: removing while listing is not defined
  for (const fs::directory_entry& entry : fs::directory_iterator(folder))
    if (is_leftover(entry.path().filename().string())) leftovers.push_back(entry.path());
  for (const fs::path& leftover : leftovers) {
    log::info("removing '{}', which an interrupted run has left", leftover.string());
    files::remove_or_warn(leftover);
  }
}

void publish(files::TemporaryName& file, const fs::path& folder, index_t step, const SaveOptions& options) {
  const std::string name = file_name(step);
  const auto latest = write_pointer(folder, latest_pointer, name);
  const auto best = options.is_best ? write_pointer(folder, best_pointer, name) : nullptr;
  file.publish();
  files::sync_folder(folder);  // the checkpoint has its name before a pointer names it
  latest->publish();
  if (best) best->publish();
  files::sync_folder(folder);
}

void remove_old(const fs::path& folder, index_t step, index_t keep_last) {
  std::set<std::string> keep;
  for (const char* pointer : {latest_pointer, best_pointer})
    if (const auto target = pointer_target(folder, pointer)) keep.insert(*target);
  std::vector<index_t> steps = steps_in(folder);
  std::erase_if(steps, [&](index_t other) { return other > step; });
  const index_t old = std::max<index_t>(std::ssize(steps) - keep_last, 0);
  for (const index_t other : Span(steps).first(old))
    if (!keep.contains(file_name(other))) files::remove_or_warn(folder / file_name(other));
}

}  // namespace switchyard::checkpoint::detail

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
  if (!fs::is_directory(folder, error)) {
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
  if (const auto step = detail::whole_number(name)) return detail::file_name(*step);
  throw ConfigError(fmt::format("'{}' names no checkpoint (in '{}' there are: {}); give best, latest or a step",
                                name, folder.string(), describe_checkpoints(folder)));
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

fs::path path_of(const fs::path& folder, index_t step) { return folder / detail::file_name(step); }

void point_best(const fs::path& folder, index_t step) {
  const std::string name = detail::file_name(step);
  if (!files::is_there(folder / name) || detail::pointer_target(folder, detail::best_pointer) == name) return;
  detail::remove_leftovers(folder);  // a temporary pointer may be among them
  files::with_remedy(files::run_place, [&] {
    detail::write_pointer(folder, detail::best_pointer, name)->publish();
    files::sync_folder(folder);
  });
}

bool keep_best_alone(const fs::path& folder) {
  const auto best = detail::pointer_target(folder, detail::best_pointer);
  if (!best || !files::is_there(folder / *best)) return false;
  // First: a pointer never names what is gone.
  if (detail::pointer_target(folder, detail::latest_pointer) != best)
    files::remove_or_warn(folder / detail::latest_pointer);
  for (const index_t step : detail::steps_in(folder)) {
    if (detail::file_name(step) != *best) files::remove_or_warn(folder / detail::file_name(step));
  }
  return true;
}

}  // namespace switchyard::checkpoint
