#include "files/folder_lock.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <string>
#include <system_error>
#include <thread>

#include "base/error.hpp"
#include "base/host_name.hpp"
#include "base/log.hpp"

namespace switchyard::files {
namespace {

// What lock_folder() of the holder wrote; it may be between taking the lock and writing.
std::string lock_holder(const File& lock) {
  std::array<char, 512> text{};
  const ssize_t size = ::pread(lock.descriptor(), text.data(), text.size(), 0);
  std::string holder(text.data(), size > 0 ? as_size(size) : 0);
  if (const auto end = holder.find('\n'); end != std::string::npos) holder.resize(end);
  return holder.empty() ? "another process" : holder;
}

// 0, or the errno of the failure.
int try_lock(const File& lock) {
  while (::flock(lock.descriptor(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EINTR) return errno;
  }
  return 0;
}

// Lustre mounted without `flock`, some NFS and FUSE file systems.
bool has_no_locks(int error_number) {
  return error_number == ENOSYS || error_number == EOPNOTSUPP || error_number == ENOLCK;
}

}  // namespace

File lock_folder(const std::filesystem::path& folder, const LockWords& words) {
  File lock =
      with_remedy(run_place, [&] { return File(folder / "lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK); });
  // A killed run's ranks may live on for a moment after the launcher has returned.
  constexpr auto patience = std::chrono::seconds(2);
  constexpr auto pause = std::chrono::milliseconds(50);
  const auto start = std::chrono::steady_clock::now();
  int error_number = try_lock(lock);
  while (error_number == EWOULDBLOCK && std::chrono::steady_clock::now() - start < patience) {
    std::this_thread::sleep_for(pause);
    error_number = try_lock(lock);
  }
  if (error_number == EWOULDBLOCK) {
    throw DataError(
        fmt::format("the {} '{}' is in use ({} is writing to it); wait until that {} has ended, or use another "
                    "folder (--{}=PATH)",
                    words.folder, folder.string(), lock_holder(lock), words.writer, words.key));
  }
  if (has_no_locks(error_number)) {
    log::warn("the file system of '{}' has no locks ({}); make sure yourself that no second {} writes there",
              folder.string(), std::generic_category().message(error_number), words.writer);
  } else if (error_number != 0) {
    throw_data_error(SystemFailure("lock", lock.path(), error_number));
  }
  with_remedy(run_place, [&] {
    lock.truncate(0);
    lock.write(fmt::format("process {} on {}\n", ::getpid(), host_name()));
  });
  return lock;
}

bool is_locked(const std::filesystem::path& folder) {
  const UniqueHandle<FileTraits> lock(
      ::open((folder / "lock").c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  // The end of the handle gives the lock back.
  return lock && ::flock(lock.get(), LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
}

}  // namespace switchyard::files
