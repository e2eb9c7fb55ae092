#include "files/regular_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

#include "base/error.hpp"
#include "base/file_descriptor.hpp"
#include "base/ids.hpp"

namespace switchyard::files {
namespace {

std::string reason_of(int error_number) { return std::generic_category().message(error_number); }

// Empty for a regular file.
std::string kind_of(mode_t mode) {
  if (S_ISREG(mode)) return {};
  if (S_ISDIR(mode)) return "it is a folder";
  if (S_ISFIFO(mode)) return "it is a pipe, not a regular file";
  if (S_ISLNK(mode)) return "it is a link";
  if (S_ISSOCK(mode)) return "it is a socket, not a regular file";
  return "it is a device, not a regular file";
}

// Without waiting for whoever should write to a pipe. `reason` says why it is none.
QuietDescriptor open_regular(const std::filesystem::path& path, std::string& reason) {
  QuietDescriptor file(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY));
  struct stat found {};
  if (!file || ::fstat(file.get(), &found) != 0) {
    reason = reason_of(errno);
  } else {
    reason = kind_of(found.st_mode);
  }
  if (!reason.empty()) file.reset();
  return file;
}

// As many bytes as there are, at most `most`.
std::string read_up_to(const QuietDescriptor& file, std::size_t most, const std::filesystem::path& path) {
  std::string text;
  while (text.size() < most) {
    const std::size_t before = text.size();
    text.resize(std::min(most, std::max<std::size_t>(1 << 16, 2 * before)));
    const ssize_t got = ::read(file.get(), text.data() + before, text.size() - before);
    text.resize(before + as_size(std::max<ssize_t>(got, 0)));
    if (got < 0 && errno != EINTR)
      throw DataError(
          fmt::format("'{}' cannot be read ({}); check the file system", path.string(), reason_of(errno)));
    if (got == 0) break;
  }
  return text;
}

}  // namespace

bool is_there(const std::filesystem::path& path) {
  struct stat found {};
  return ::lstat(path.c_str(), &found) == 0 || (errno != ENOENT && errno != ENOTDIR);
}

std::string why_unreadable(const std::filesystem::path& path) {
  std::string reason;
  (void)open_regular(path, reason);
  return reason;
}

std::string read_regular_file(const std::filesystem::path& path, std::size_t most_bytes) {
  std::string reason;
  const QuietDescriptor file = open_regular(path, reason);
  if (!file)
    throw DataError(
        fmt::format("'{}' cannot be read ({}); check the path and its permissions", path.string(), reason));
  std::string text = read_up_to(file, most_bytes + 1, path);
  if (text.size() > most_bytes) {
    throw DataError(fmt::format("'{}' is larger than {} bytes (none that switchyard writes is); check the path",
                                path.string(), most_bytes));
  }
  return text;
}

bool begins_with(const std::filesystem::path& path, std::string_view mark) {
  std::string reason;
  const QuietDescriptor file = open_regular(path, reason);
  return file && read_up_to(file, mark.size(), path) == mark;
}

void expect_replaceable(const std::filesystem::path& path, std::string_view mark, std::string_view option) {
  struct stat found {};
  if (::lstat(path.c_str(), &found) != 0) {
    if (errno == ENOENT) return;
    throw DataError(
        fmt::format("cannot write '{}' ({}); use another path ({})", path.string(), reason_of(errno), option));
  }
  const auto refuse = [&](const std::string& why) {
    throw DataError(
        fmt::format("'{}' is not replaced ({}); use another path ({})", path.string(), why, option));
  };
  if (!S_ISREG(found.st_mode)) refuse(kind_of(found.st_mode));
  if (mark.empty()) return;
  std::string reason;
  const QuietDescriptor file = open_regular(path, reason);
  if (!file) refuse(reason);
  if (read_up_to(file, mark.size(), path) != mark) refuse("it is no file that this command makes");
}

}  // namespace switchyard::files
