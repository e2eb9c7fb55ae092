#include "train/detail/file.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <string>
#include <system_error>
#include <utility>

#include "base/error.hpp"
#include "base/log.hpp"
#include "base/regular_file.hpp"

namespace switchyard::train::detail {
namespace {

std::string_view advice(int error_number) {
  switch (error_number) {
    case ENOSPC:
    case EDQUOT:
      return "free space there, or use another folder";
    case EACCES:
    case EPERM:
    case EROFS:
      return "use a folder that you may write to";
    case ENOTDIR:
    case EISDIR:
    case EEXIST:
      return "a file is where a folder should be, or the reverse: use another folder";
    default:
      return "check the path and the file system, or use another folder";
  }
}

void sync(const FileDescriptor& file, const std::filesystem::path& path, std::string_view place) {
  // EINVAL: the file system does not sync this kind of file (folders on some network file systems).
  if (::fsync(file.get()) != 0 && errno != EINVAL) throw_file_error("flush", path, errno, place);
}

}  // namespace

void FileTraits::close(Handle descriptor) noexcept {
  if (::close(descriptor) == 0) return;
  try {
    log::warn("closing a file failed ({})", std::generic_category().message(errno));
  } catch (...) {  // a destructor may be running: the message is lost, the program goes on
  }
}

void throw_file_error(std::string_view action, const std::filesystem::path& path, int error_number,
                      std::string_view place) {
  throw DataError(fmt::format("cannot {} '{}' ({}); {} ({})", action, path.string(),
                              std::generic_category().message(error_number), advice(error_number), place));
}

FileDescriptor open_file(const std::filesystem::path& path, int flags, std::string_view place) {
  int descriptor = -1;
  do {
    descriptor = ::open(path.c_str(), flags | O_CLOEXEC, 0666);
  } while (descriptor < 0 && errno == EINTR);
  if (descriptor < 0) throw_file_error("open", path, errno, place);
  return FileDescriptor(descriptor);
}

void write_all(const FileDescriptor& file, std::string_view bytes, const std::filesystem::path& path,
               std::string_view place) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(file.get(), bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) throw_file_error("write to", path, errno, place);
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
}

ReplacementFile::ReplacementFile(std::filesystem::path path, std::string_view place)
    : path_(std::move(path)),
      // Beside --out several processes may write, each a whole file; a run folder has one writer, who takes
      // away what a killed one has left.
      temporary_(place == run_place ? path_.string() + ".tmp"
                                    : fmt::format("{}.{}.tmp", path_.string(), ::getpid())),
      place_(place) {
  expect_replaceable(path_, "", place_);
  ::unlink(temporary_.c_str());  // of a run that was killed; a link, not what it names
  file_ = open_file(temporary_, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, place);
}

ReplacementFile::~ReplacementFile() {
  if (!published_) ::unlink(temporary_.c_str());
}

void ReplacementFile::write(std::string_view bytes) { write_all(file_, bytes, temporary_, place_); }

void ReplacementFile::publish() {
  sync(file_, temporary_, place_);
  if (std::rename(temporary_.c_str(), path_.c_str()) != 0) throw_file_error("replace", path_, errno, place_);
  published_ = true;
  const std::filesystem::path folder = path_.has_parent_path() ? path_.parent_path() : ".";
  sync(open_file(folder, O_RDONLY | O_DIRECTORY, place_), folder, place_);
}

}  // namespace switchyard::train::detail
