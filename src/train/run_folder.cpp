#include "train/run_folder.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <nlohmann/json.hpp>
#include <string>
#include <system_error>
#include <utility>

#include "base/error.hpp"
#include "base/log.hpp"

namespace switchyard::train {
namespace {

std::string host_name() {
  std::array<char, 256> name{};  // HOST_NAME_MAX is 64 on Linux
  return ::gethostname(name.data(), name.size() - 1) == 0 ? name.data() : "an unknown host";
}

// What take_lock() of the holder wrote; it may be between taking the lock and writing.
std::string lock_holder(const detail::FileDescriptor& lock) {
  std::array<char, 512> text{};
  const ssize_t size = ::pread(lock.get(), text.data(), text.size(), 0);
  std::string holder(text.data(), size > 0 ? static_cast<std::size_t>(size) : 0);
  if (const auto end = holder.find('\n'); end != std::string::npos) holder.resize(end);
  return holder.empty() ? "another process" : holder;
}

// 0, or the errno of the failure.
int try_lock(const detail::FileDescriptor& lock) {
  while (::flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EINTR) return errno;
  }
  return 0;
}

// Lustre mounted without `flock`, some NFS and FUSE file systems.
bool has_no_locks(int error_number) {
  return error_number == ENOSYS || error_number == EOPNOTSUPP || error_number == ENOLCK;
}

}  // namespace

RunFolder::RunFolder(std::filesystem::path path) : path_(std::move(path)) {}

RunFolder RunFolder::create(const std::filesystem::path& path, config::ResumeMode mode) {
  RunFolder folder(path);
  folder.make();
  folder.take_lock();  // first: of a folder that is in use, this is what the user must know
  if (mode == config::ResumeMode::never && folder.has_run()) {
    throw DataError(fmt::format(
        "the folder '{0}' already holds a run (it has a config.ini or checkpoints); go on with it by "
        "`switchyard resume {0}`, let one command start or go on with --run.resume=auto, or use another "
        "folder (--run.dir=PATH)",
        path.string()));
  }
  return folder;
}

RunFolder RunFolder::open(const std::filesystem::path& path) {
  RunFolder folder(path);
  if (!folder.has_run()) {
    throw DataError(fmt::format(
        "there is no run in '{0}' ({1}); give the folder that `switchyard train` made, or start a run "
        "there with `switchyard train FILE.ini --run.dir={0}`",
        path.string(),
        std::filesystem::is_directory(path) ? "it has neither a config.ini nor checkpoints"
        : std::filesystem::exists(path)     ? "it is a file"
                                            : "it does not exist"));
  }
  folder.make();
  folder.take_lock();
  return folder;
}

void RunFolder::make() const {
  std::error_code error;
  std::filesystem::create_directories(path_, error);
  if (error) detail::throw_file_error("make the run folder", path_, error.value());
  std::filesystem::create_directories(checkpoint_folder(), error);
  if (error) detail::throw_file_error("make the folder", checkpoint_folder(), error.value());
}

void RunFolder::take_lock() {
  const std::filesystem::path file = path_ / "lock";
  lock_ = detail::open_file(file, O_RDWR | O_CREAT);
  const int error_number = try_lock(lock_);
  if (error_number == EWOULDBLOCK) {
    throw DataError(
        fmt::format("the run folder '{}' is in use ({} is writing to it); wait until that run has ended, or "
                    "use another folder "
                    "(--run.dir=PATH)",
                    path_.string(), lock_holder(lock_)));
  }
  if (has_no_locks(error_number)) {
    log::warn("the file system of '{}' has no locks ({}); make sure yourself that no second run writes there",
              path_.string(), std::generic_category().message(error_number));
  } else if (error_number != 0) {
    detail::throw_file_error("lock", file, error_number);
  }
  if (::ftruncate(lock_.get(), 0) != 0) detail::throw_file_error("write to", file, errno);
  detail::write_all(lock_, fmt::format("process {} on {}\n", ::getpid(), host_name()), file);
}

bool RunFolder::has_run() const {
  std::error_code error;
  return std::filesystem::exists(config_file(), error) || has_checkpoint();
}

bool RunFolder::has_checkpoint() const {
  std::error_code error;
  for (std::filesystem::directory_iterator entry(checkpoint_folder(), error), end; !error && entry != end;
       entry.increment(error)) {
    const std::filesystem::path& file = entry->path();
    if (file.extension() == ".h5" && file.stem().string().starts_with("step-")) return true;
  }
  return false;
}

void RunFolder::write_config(std::string_view text) const {
  detail::ReplacementFile file(config_file());
  file.write(text);
  file.publish();
}

void RunFolder::write_summary(const nlohmann::ordered_json& summary) const {
  detail::ReplacementFile file(summary_file());
  // Paths and reasons may hold bytes that are no UTF-8: they are replaced, since the file must stay valid JSON.
  file.write(summary.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n");
  file.publish();
}

}  // namespace switchyard::train
