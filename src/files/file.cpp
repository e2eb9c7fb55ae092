#include "files/file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <utility>

#include "base/error.hpp"
#include "base/log.hpp"

namespace switchyard::files {
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

}  // namespace

SystemFailure::SystemFailure(std::string_view action, const std::filesystem::path& path, int error_number)
    : Failure(fmt::format("cannot {} '{}': {}", action, path.string(),
                          std::generic_category().message(error_number))),
      what_failed_(fmt::format("cannot {} '{}'", action, path.string())),
      error_number_(error_number) {}

void throw_data_error(const SystemFailure& failure, std::string_view place) {
  throw DataError(fmt::format("{} ({}); {} ({})", failure.what_failed(),
                              std::generic_category().message(failure.error_number()),
                              advice(failure.error_number()), place));
}

void FileTraits::close(Handle descriptor) noexcept {
  // What was written is known to be on the disk only after sync(), so a failure here loses nothing.
  if (::close(descriptor) == 0) return;
  try {
    log::warn("closing a file failed ({})", std::generic_category().message(errno));
  } catch (...) {  // a destructor may be running: the message is lost, the program goes on
  }
}

File::File(std::filesystem::path path, int flags) : path_(std::move(path)) {
  int descriptor = -1;
  do descriptor = ::open(path_.c_str(), flags | O_CLOEXEC, 0666);
  while (descriptor < 0 && errno == EINTR);
  if (descriptor < 0) fail("open");
  descriptor_ = UniqueHandle<FileTraits>(descriptor);
}

void File::fail(std::string_view action) const { throw SystemFailure(action, path_, errno); }

File::State File::state() const {
  struct stat facts {};
  if (::fstat(descriptor(), &facts) != 0) fail("look at");
  constexpr index_t ns_per_s = 1'000'000'000;
  return {facts.st_size, facts.st_nlink == 0, facts.st_mtim.tv_sec * ns_per_s + facts.st_mtim.tv_nsec};
}

bool File::has_its_name() const {
  struct stat mine {};
  struct stat there {};
  return ::fstat(descriptor(), &mine) == 0 && ::stat(path_.c_str(), &there) == 0 &&
         mine.st_ino == there.st_ino && mine.st_dev == there.st_dev;
}

void File::read_at(index_t offset, Span<std::byte> bytes) const {
  while (!bytes.empty()) {
    const ssize_t done = ::pread(descriptor(), bytes.data(), bytes.size(), offset);
    if (done < 0 && errno == EINTR) continue;
    if (done < 0) fail("read");
    if (done == 0) throw Failure(fmt::format("the file ends at byte {}", offset));
    bytes = bytes.subspan(done);
    offset += done;
  }
}

void File::write_at(index_t offset, Span<const std::byte> bytes) const {
  while (!bytes.empty()) {
    const ssize_t done = ::pwrite(descriptor(), bytes.data(), bytes.size(), offset);
    if (done < 0 && errno == EINTR) continue;
    if (done < 0) fail("write to");
    bytes = bytes.subspan(done);
    offset += done;
  }
}

void File::write(std::string_view bytes) const {
  while (!bytes.empty()) {
    const ssize_t written = ::write(descriptor(), bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail("write to");
    bytes.remove_prefix(as_size(written));
  }
}

void File::truncate(index_t bytes) const {
  if (::ftruncate(descriptor(), bytes) != 0) fail("cut");
}

void File::sync() const {
  // EINVAL: the file system does not sync this kind of file (folders on some network file systems).
  if (::fsync(descriptor()) != 0 && errno != EINVAL) fail("flush");
}

void sync_folder(const std::filesystem::path& folder) {
  File(folder.empty() ? "." : folder, O_RDONLY | O_DIRECTORY).sync();
}

}  // namespace switchyard::files
