// Files of a run folder, through POSIX calls: a full disk or a missing right is seen at once and with its
// reason.
#pragma once

#include <filesystem>
#include <string_view>

#include "base/unique_handle.hpp"

namespace switchyard::train::detail {

struct FileTraits {
  using Handle = int;
  static Handle none() noexcept { return -1; }
  static void close(Handle descriptor) noexcept;  // logs a failure
};
using FileDescriptor = UniqueHandle<FileTraits>;

// How a user chooses the place of a run's files.
inline constexpr std::string_view run_place = "--run.dir=PATH";

// DataError: cannot `action` 'path' (the text of `error_number`); what to try. `place` is the option that
// chooses another place.
[[noreturn]] void throw_file_error(std::string_view action, const std::filesystem::path& path, int error_number,
                                   std::string_view place = run_place);

// open(2) with O_CLOEXEC and mode 0666. Throws DataError.
FileDescriptor open_file(const std::filesystem::path& path, int flags, std::string_view place = run_place);
// Writes all bytes, however often the kernel takes only a part. `path` is for the message. Throws DataError.
void write_all(const FileDescriptor& file, std::string_view bytes, const std::filesystem::path& path,
               std::string_view place = run_place);

// The new content of a file, which appears whole or not at all: it is written beside the file and renamed over
// it.
class ReplacementFile {
 public:
  explicit ReplacementFile(std::filesystem::path path, std::string_view place = run_place);
  ReplacementFile(const ReplacementFile&) = delete;
  ReplacementFile& operator=(const ReplacementFile&) = delete;
  ~ReplacementFile();  // removes what was not published

  void write(std::string_view bytes);
  // fsync, rename, fsync of the folder: afterwards the new content survives a power cut.
  void publish();

 private:
  std::filesystem::path path_;
  std::filesystem::path temporary_;
  std::string_view place_;  // a constant's text
  FileDescriptor file_;
  bool published_ = false;
};

}  // namespace switchyard::train::detail
