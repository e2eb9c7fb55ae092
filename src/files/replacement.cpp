#include "files/replacement.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <string>
#include <system_error>
#include <utility>

#include "base/log.hpp"
#include "files/regular_file.hpp"

namespace switchyard::files {
namespace {

// Beside --out several processes may write, each a whole file; a run folder has one writer, who takes away what
// a killed one has left.
std::string suffix_at(std::string_view place) {
  return place == run_place ? std::string(temporary_suffix) : suffix_of_process();
}

}  // namespace

std::string suffix_of_process() { return fmt::format(".{}{}", ::getpid(), temporary_suffix); }

TemporaryName::TemporaryName(std::filesystem::path final_path, std::string_view suffix)
    : final_path_(std::move(final_path)), path_(final_path_.string() + std::string(suffix)) {}

TemporaryName::~TemporaryName() {
  if (!published_) remove_or_warn(path_);
}

void TemporaryName::publish() {
  if (std::rename(path_.c_str(), final_path_.c_str()) != 0) throw SystemFailure("replace", final_path_, errno);
  published_ = true;
}

ReplacementFile::ReplacementFile(const std::filesystem::path& path, std::string_view place)
    : place_(place), name_(path, suffix_at(place)) {
  expect_replaceable(path, "", place_);
  ::unlink(name_.path().c_str());  // of a run that was killed; a link, not what it names
  with_remedy(place_, [&] { file_ = File(name_.path(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW); });
}

void ReplacementFile::write(std::string_view bytes) {
  with_remedy(place_, [&] { file_.write(bytes); });
}

void ReplacementFile::publish() {
  with_remedy(place_, [&] {
    file_.sync();
    name_.publish();
    sync_folder(name_.final_path().parent_path());
  });
}

void replace_file(const std::filesystem::path& path, std::string_view bytes, std::string_view place) {
  ReplacementFile file(path, place);
  file.write(bytes);
  file.publish();
}

void remove_or_warn(const std::filesystem::path& file) {
  std::error_code error;
  if (!std::filesystem::exists(file, error))
    return;  // asked first: a read-only file system refuses to remove what is not there
  std::filesystem::remove(file, error);
  if (error) log::warn("cannot remove '{}' ({}); remove it by hand", file.string(), error.message());
}

}  // namespace switchyard::files
