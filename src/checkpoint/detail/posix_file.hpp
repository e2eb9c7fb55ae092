// Files through POSIX calls, and the reason why one of them could not be used.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <stdexcept>
#include <string>

#include "base/ids.hpp"
#include "base/unique_handle.hpp"

namespace switchyard::checkpoint::detail {

// A reason in a few words, without the file's name or a remedy: inside detail/ only. The public functions turn
// it into a DataError that adds both (see `reading` below and save.cpp).
class Failure : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// Throws Failure("what: No space left on device") for the current errno.
[[noreturn]] void fail_with_errno(const std::string& what);

struct FileDescriptorTraits {
  using Handle = int;
  static Handle none() noexcept { return -1; }
  static void close(Handle descriptor) noexcept;
};
using FileDescriptor = UniqueHandle<FileDescriptorTraits>;

// Opens with ::open's flags (close-on-exec is added); new files get mode 0666 less the umask. Throws Failure.
FileDescriptor open_file(const std::filesystem::path& path, int flags);
// Fills `bytes` from `offset` on; a file that ends early is a Failure.
void read_at(const FileDescriptor& file, index_t offset, std::span<std::byte> bytes);
void write_at(const FileDescriptor& file, index_t offset, std::span<const std::byte> bytes);
index_t size_bytes(const FileDescriptor& file);
// Waits until content and size are on the disk.
void sync(const FileDescriptor& file);
// The same for the names in a folder.
void sync_folder(const std::filesystem::path& folder);
void rename_file(const std::filesystem::path& from, const std::filesystem::path& to);

// Throws the DataError of a checkpoint that cannot be read: `reason` with the file's name and what to try.
[[noreturn]] void throw_unreadable(const std::filesystem::path& file, const std::string& reason);

// Runs `action`, which reads `file`, and turns a Failure into that DataError.
template <class Action>
decltype(auto) reading(const std::filesystem::path& file, Action&& action) {
  try {
    return action();
  } catch (const Failure& failure) {
    throw_unreadable(file, failure.what());
  }
}

}  // namespace switchyard::checkpoint::detail
