// A file that grows by whole records while somebody may read it.
#pragma once

#include <filesystem>
#include <string_view>

#include "files/file.hpp"

namespace switchyard::files {

// Of a run. A record is one write(2): it is whole in the kernel when append() returns, and outlives a kill of
// this process. Used by one thread.
class AppendedFile {
 public:
  // Opens or makes the file; `flags` for open(2) besides, such as O_EXCL. Throws DataError.
  explicit AppendedFile(std::filesystem::path path, int flags = 0);

  // Throws DataError (a full disk, say); the file then ends with the record before. One that somebody took away
  // or cut is a warning, once: records are lost.
  void append(std::string_view record);
  // What was written has reached the disk when it returns.
  void sync();

  const std::filesystem::path& path() const { return file_.path(); }

 private:
  File file_;
  index_t size_ = 0;   // of the file when the last record was written
  bool lost_ = false;  // said once
};

}  // namespace switchyard::files
