#include "checkpoint/detail/posix_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <system_error>

#include "base/error.hpp"
#include "base/log.hpp"

namespace switchyard::checkpoint::detail {

void fail_with_errno(const std::string& what) {
  const std::error_code code(errno, std::generic_category());
  throw Failure(fmt::format("{}: {}", what, code.message()));
}

void FileDescriptorTraits::close(Handle descriptor) noexcept {
  // What was written is known to be on the disk only after sync(), so a failure here loses nothing.
  if (::close(descriptor) != 0) log::warn("closing a file descriptor failed (errno {})", errno);
}

FileDescriptor open_file(const std::filesystem::path& path, int flags) {
  FileDescriptor file(::open(path.c_str(), flags | O_CLOEXEC, 0666));
  if (!file) fail_with_errno(fmt::format("opening '{}'", path.string()));
  return file;
}

void read_at(const FileDescriptor& file, index_t offset, std::span<std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t done = ::pread(file.get(), bytes.data(), bytes.size(), offset);
    if (done < 0 && errno == EINTR) continue;
    if (done < 0) fail_with_errno(fmt::format("reading at byte {}", offset));
    if (done == 0) throw Failure(fmt::format("the file ends at byte {}", offset));
    bytes = bytes.subspan(static_cast<std::size_t>(done));
    offset += done;
  }
}

void write_at(const FileDescriptor& file, index_t offset, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t done = ::pwrite(file.get(), bytes.data(), bytes.size(), offset);
    if (done < 0 && errno == EINTR) continue;
    if (done < 0) fail_with_errno(fmt::format("writing at byte {}", offset));
    bytes = bytes.subspan(static_cast<std::size_t>(done));
    offset += done;
  }
}

index_t size_bytes(const FileDescriptor& file) {
  struct stat facts {};
  if (::fstat(file.get(), &facts) != 0) fail_with_errno("asking for the size");
  return facts.st_size;
}

void sync(const FileDescriptor& file) {
  if (::fsync(file.get()) != 0) fail_with_errno("flushing to the disk (fsync)");
}

void sync_folder(const std::filesystem::path& folder) {
  const FileDescriptor descriptor = open_file(folder, O_RDONLY | O_DIRECTORY);
  // Some network file systems cannot sync a folder and say EINVAL; there is nothing better to do on them.
  if (::fsync(descriptor.get()) != 0 && errno != EINVAL)
    fail_with_errno("flushing the folder to the disk (fsync)");
}

void rename_file(const std::filesystem::path& from, const std::filesystem::path& to) {
  if (std::rename(from.c_str(), to.c_str()) != 0)
    fail_with_errno(fmt::format("renaming '{}' to '{}'", from.string(), to.filename().string()));
}

void throw_unreadable(const std::filesystem::path& file, const std::string& reason) {
  throw DataError(
      fmt::format("cannot use the checkpoint '{}' ({}); `switchyard verify` tells which checkpoints are "
                  "whole: resume from an older one",
                  file.string(), reason));
}

}  // namespace switchyard::checkpoint::detail
