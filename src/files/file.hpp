// Files through POSIX calls: a full disk or a missing right is seen at once and with its reason.
#pragma once

#include <cstddef>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <string_view>

#include "base/ids.hpp"
#include "base/span.hpp"
#include "base/unique_handle.hpp"

namespace switchyard::files {

// Why a file cannot be used, in a few words and without a remedy: whoever knows what the file is for turns it
// into a DataError that has one.
class Failure : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// "cannot open 'a/b.h5': No space left on device".
class SystemFailure : public Failure {
 public:
  SystemFailure(std::string_view action, const std::filesystem::path& path, int error_number);

  const std::string& what_failed() const { return what_failed_; }  // "cannot open 'a/b.h5'"
  int error_number() const { return error_number_; }

 private:
  std::string what_failed_;
  int error_number_;
};

// How a user chooses the place of a run's files.
inline constexpr std::string_view run_place = "--run.dir=PATH";

// DataError: cannot open 'a/b' (No space left on device); what to try. `place` is the option that
// chooses another place.
[[noreturn]] void throw_data_error(const SystemFailure& failure, std::string_view place = run_place);

// Runs `action`, and turns what the system refuses there into that DataError.
template <class Action>
decltype(auto) with_remedy(std::string_view place, const Action& action) {
  try {
    return action();
  } catch (const SystemFailure& failure) {
    throw_data_error(failure, place);
  }
}

struct FileTraits {
  using Handle = int;
  static Handle none() noexcept { return -1; }
  static void close(Handle descriptor) noexcept;  // logs a failure
};

// An open file and its name. What the system refuses is a SystemFailure.
class File {
 public:
  File() = default;
  // open(2) with O_CLOEXEC and mode 0666 less the umask.
  File(std::filesystem::path path, int flags);

  explicit operator bool() const { return static_cast<bool>(descriptor_); }
  int descriptor() const { return descriptor_.get(); }
  const std::filesystem::path& path() const { return path_; }

  // What the system knows of it now.
  struct State {
    index_t size_bytes;
    bool is_removed;      // no name leads to it any more
    index_t modified_ns;  // since 1970: when it was written to last
  };
  State state() const;
  index_t size_bytes() const { return state().size_bytes; }
  // Its name still leads to it, and not to another file.
  bool has_its_name() const;
  // Fills `bytes` from `offset` on; a file that ends early is a Failure.
  void read_at(index_t offset, Span<std::byte> bytes) const;
  void write_at(index_t offset, Span<const std::byte> bytes) const;
  // Behind what was written before.
  void write(std::string_view bytes) const;
  void truncate(index_t bytes) const;
  // Waits until content and size are on the disk.
  void sync() const;

 private:
  [[noreturn]] void fail(std::string_view action) const;

  std::filesystem::path path_;
  UniqueHandle<FileTraits> descriptor_;
};

// Waits until the names in a folder are on the disk.
void sync_folder(const std::filesystem::path& folder);

}  // namespace switchyard::files
