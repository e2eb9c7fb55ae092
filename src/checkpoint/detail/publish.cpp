#include "checkpoint/detail/publish.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <memory>
#include <set>

#include "base/log.hpp"
#include "base/span.hpp"
#include "checkpoint/detail/failure.hpp"
#include "files/regular_file.hpp"

namespace switchyard::checkpoint::detail {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view name_prefix = "step-";
constexpr std::string_view name_suffix = ".h5";

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
  index_t step = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), step);
  if (error != std::errc{} || end != name.data() + name.size() || step < 0) return std::nullopt;
  return step;
}

std::vector<index_t> steps_in(const fs::path& folder) {
  std::vector<index_t> steps;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
    const std::optional<index_t> step = step_of(entry.path().filename().string());
    if (step && entry.path().filename() == file_name(*step)) steps.push_back(*step);
  }
  std::sort(steps.begin(), steps.end());
  return steps;
}

std::optional<std::string> pointer_target(const fs::path& folder, const char* pointer) {
  constexpr std::size_t most_bytes = 4096;
  if (!files::is_there(folder / pointer)) return std::nullopt;
  const std::string text = files::read_regular_file(folder / pointer, most_bytes);
  const std::string target = text.substr(0, text.find('\n'));
  return step_of(target) ? std::optional(target) : std::nullopt;
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

void point_best(const std::filesystem::path& folder, index_t step) {
  const std::string name = detail::file_name(step);
  if (!files::is_there(folder / name) || detail::pointer_target(folder, detail::best_pointer) == name) return;
  detail::remove_leftovers(folder);  // a temporary pointer may be among them
  files::with_remedy(files::run_place, [&] {
    detail::write_pointer(folder, detail::best_pointer, name)->publish();
    files::sync_folder(folder);
  });
}

bool keep_best_alone(const std::filesystem::path& folder) {
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
