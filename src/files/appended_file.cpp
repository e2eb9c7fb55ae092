#include "files/appended_file.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <utility>

#include "base/log.hpp"

namespace switchyard::files {

AppendedFile::AppendedFile(std::filesystem::path path, int flags)
    : file_(with_remedy(run_place, [&] {
        return File(std::move(path), O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_NONBLOCK | flags);
      })) {}

void AppendedFile::sync() {
  with_remedy(run_place, [&] { file_.sync(); });
}

void AppendedFile::append(std::string_view record) {
  with_remedy(run_place, [&] {
    const File::State before = file_.state();
    if (!lost_ && (before.is_removed || before.size_bytes < size_)) {
      lost_ = true;
      log::warn("'{}' was {} while the run writes to it: what it says there is lost", file_.path().string(),
                before.is_removed ? "taken away" : "cut");
    }
    try {
      file_.write(record);
    } catch (const Failure&) {
      // A part of the record may be there. If this fails too, whoever reads it sees a torn end.
      if (::ftruncate(file_.descriptor(), before.size_bytes) != 0)
        log::warn("'{}' may end with a torn record", file_.path().string());
      throw;
    }
    size_ = before.size_bytes + std::ssize(record);
  });
}

}  // namespace switchyard::files
