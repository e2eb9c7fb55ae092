// Where the ranks of one machine leave what they are doing, so that one that waits too long can say for whom.
#pragma once

#include <array>
#include <atomic>
#include <filesystem>
#include <memory>
#include <optional>
#include <vector>

#include "comm/launch_check.hpp"
#include "comm/operation.hpp"

namespace switchyard::comm {

// What a rank did when its watchdog last looked. Plain bytes.
struct Activity {
  enum class State : std::int32_t {
    absent,   // never came here
    working,  // waits for nobody
    waiting,  // for other ranks
    reading,  // waits for the file system
    left,     // came to its end
    device,   // waits for its own GPU
  };
  State state = State::absent;
  std::int32_t process = 0;   // its id in the system
  std::int64_t group = 0;     // ranks of another one are not waited for
  OperationTag tag;           // of the wait; when working, of the last one
  double waited_seconds = 0;  // so far
};

// A file in memory that all processes of one launch on one machine map, one slot for each world rank. It needs
// no MPI and no network, so it works before MPI is up and after it broke. Each process writes its own slot from
// one thread; reading never blocks the writer.
class Board {
 public:
  struct Slot {
    WorldRank rank;
    Activity activity;
    double silent_seconds = 0;  // since its watchdog last looked: a stopped process is silent
  };

  // The board of this launch, made by whoever comes first; nothing if the launcher leaves no name for the
  // launch or the system refuses the file: then nobody is named, and all else works.
  static std::unique_ptr<Board> open(const Launch& launch,
                                     const EnvironmentLookup& environment = process_environment);
  // For tests: of this file.
  static std::unique_ptr<Board> open_file(const std::filesystem::path& file, WorldRank rank);
  ~Board();
  Board(const Board&) = delete;
  Board& operator=(const Board&) = delete;

  // The caller's own slot, with the time of now.
  void publish(const Activity& activity);
  // All slots that somebody came to, by rank; the caller's own too.
  std::vector<Slot> slots() const;
  // True for the first of all processes that asks: one of a machine speaks for all.
  bool claim_voice();

 private:
  struct Page;  // the mapped file

  Board(Page* page, WorldRank rank, std::filesystem::path removed_at_end);

  Page* page_;
  WorldRank rank_;
  std::filesystem::path removed_at_end_;  // empty: the launcher removes it
};

}  // namespace switchyard::comm
