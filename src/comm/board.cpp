#include "comm/board.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <string>
#include <utility>

#include "base/file_descriptor.hpp"

namespace switchyard::comm {
namespace {

// Higher ranks have no slot. Slots that nobody came to take no memory.
constexpr int capacity = 1 << 14;

std::int64_t now_ns() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

struct Place {
  std::filesystem::path file;
  bool is_removed_by_launcher = false;
};

// In the launcher's own folder of the launch, which it removes at the end, or in the system's memory under the
// launch's name.
std::optional<Place> place_of(const Launch& launch, const EnvironmentLookup& environment) {
  const char* const name = environment("PMIX_NAMESPACE");
  if (const char* const folder = environment("PMIX_SERVER_TMPDIR"); folder != nullptr && name != nullptr)
    return Place{std::filesystem::path(folder) / fmt::format("switchyard-{}", name), true};
  const char* const job = environment("SLURM_JOB_ID");
  const char* const step = environment("SLURM_STEP_ID");
  if (launch.launcher != "srun" || job == nullptr || step == nullptr) return std::nullopt;
  return Place{fmt::format("/dev/shm/switchyard-{}-{}.{}", ::getuid(), job, step), false};
}

// A regular file of this user that nobody else can write: the folder may be open to all.
bool is_ours(int descriptor) {
  struct stat found {};
  return ::fstat(descriptor, &found) == 0 && S_ISREG(found.st_mode) && found.st_uid == ::getuid() &&
         (found.st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

}  // namespace

struct Board::Page {
  // Written by one thread of one process. `version` is odd while it writes; a reader takes the words again
  // then.
  struct SharedSlot {
    static constexpr std::size_t words = (sizeof(Activity) + 7) / 8;
    std::atomic<std::uint64_t> version;
    std::atomic<std::int64_t> written_ns;
    std::array<std::atomic<std::uint64_t>, words> content;
  };
  static_assert(std::atomic<std::uint64_t>::is_always_lock_free,
                "atomics of a mapped file must not need a lock");

  std::atomic<std::int32_t> voice_is_taken;
  std::array<SharedSlot, capacity> slots;

  void write(WorldRank rank, const Activity& activity) {
    SharedSlot& slot = slots[as_size(rank)];
    std::array<std::uint64_t, SharedSlot::words> content{};
    std::memcpy(content.data(), &activity, sizeof activity);
    slot.version.fetch_add(1, std::memory_order_acq_rel);
    for (std::size_t i = 0; i < content.size(); ++i)
      slot.content[i].store(content[i], std::memory_order_relaxed);
    slot.written_ns.store(now_ns(), std::memory_order_relaxed);
    slot.version.fetch_add(1, std::memory_order_release);
  }

  // Nothing of a slot that nobody came to. A writer that was stopped in the middle of a write is read as it is.
  std::optional<Slot> read(int rank) const {
    const SharedSlot& slot = slots[as_size(rank)];
    std::array<std::uint64_t, SharedSlot::words> content{};
    std::int64_t written_ns = 0;
    for (int attempt = 0; attempt < 1000; ++attempt) {
      const std::uint64_t before = slot.version.load(std::memory_order_acquire);
      if (before == 0) return std::nullopt;
      for (std::size_t i = 0; i < content.size(); ++i)
        content[i] = slot.content[i].load(std::memory_order_relaxed);
      written_ns = slot.written_ns.load(std::memory_order_relaxed);
      std::atomic_thread_fence(std::memory_order_acquire);
      if (before % 2 == 0 && slot.version.load(std::memory_order_relaxed) == before) break;
    }
    Slot found{WorldRank(rank), {}, 1e-9 * static_cast<double>(now_ns() - written_ns)};
    std::memcpy(static_cast<void*>(&found.activity), content.data(), sizeof found.activity);
    return found;
  }
};

std::unique_ptr<Board> Board::open(const Launch& launch, const EnvironmentLookup& environment) {
  const std::optional<Place> place = place_of(launch, environment);
  if (!place) return nullptr;
  std::unique_ptr<Board> board = open_file(place->file, WorldRank(launch.process));
  if (board != nullptr && place->is_removed_by_launcher) board->removed_at_end_.clear();
  return board;
}

std::unique_ptr<Board> Board::open_file(const std::filesystem::path& file, WorldRank rank) {
  if (rank.value < 0 || rank.value >= capacity) return nullptr;
  const QuietDescriptor descriptor(
      ::open(file.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, S_IRUSR | S_IWUSR));
  if (!descriptor || !is_ours(descriptor.get())) return nullptr;
  // A new file is all zeros, which is an empty board; whoever comes later changes nothing by this.
  if (::ftruncate(descriptor.get(), sizeof(Page)) != 0) return nullptr;
  void* const mapped = ::mmap(nullptr, sizeof(Page), PROT_READ | PROT_WRITE, MAP_SHARED, descriptor.get(), 0);
  if (mapped == MAP_FAILED) return nullptr;
  return std::unique_ptr<Board>(new Board(static_cast<Page*>(mapped), rank, file));
}

Board::Board(Page* page, WorldRank rank, std::filesystem::path removed_at_end)
    : page_(page), rank_(rank), removed_at_end_(std::move(removed_at_end)) {}

Board::~Board() {
  ::munmap(page_, sizeof(Page));
  // Others keep what they have mapped.
  if (!removed_at_end_.empty()) ::unlink(removed_at_end_.c_str());
}

void Board::publish(const Activity& activity) { page_->write(rank_, activity); }

std::vector<Board::Slot> Board::slots() const {
  std::vector<Slot> found;
  for (int rank = 0; rank < capacity; ++rank)
    if (const std::optional<Slot> slot = page_->read(rank)) found.push_back(*slot);
  return found;
}

bool Board::claim_voice() {
  std::int32_t nobody = 0;
  return page_->voice_is_taken.compare_exchange_strong(nobody, 1);
}

}  // namespace switchyard::comm
