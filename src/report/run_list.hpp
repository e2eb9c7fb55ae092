// What there is below a folder: runs and studies, a line for each.
#pragma once

#include <chrono>
#include <filesystem>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

namespace switchyard::report {

enum class ListedState {
  running,     // a process holds the folder's lock
  finished,    // with success; of a study, all its runs
  stopped,     // it ended with another exit code
  unfinished,  // it was killed, or copied while it ran: `resume` goes on
  damaged,     // its files cannot be read
};
std::string_view name(ListedState state);

// A run or a study. A number that is not known is NaN.
struct Listed {
  static constexpr double unknown = std::numeric_limits<double>::quiet_NaN();

  std::string folder;  // below the folder that was asked for
  bool is_study = false;
  ListedState state = ListedState::unfinished;
  double exit_code = unknown;
  std::string reason;  // why it ended, or what is wrong with it
  double done = 0;     // steps; of a study runs
  double planned = unknown;
  std::string score;  // "error": what the next two are
  double validation = unknown;
  double test = unknown;
  double parameters = unknown;
  double seconds = unknown;                       // of training steps, over all resumes
  std::chrono::system_clock::time_point changed;  // when something was last written to it
};

// Those of `folder` itself and of the folders below it, the newest first. Where it is a study, its runs; a
// study below it is one line. Links to folders are followed for runs and studies alone. Takes no lock and
// writes nothing; runs may be under way. DataError where `folder` is none or cannot be read.
std::vector<Listed> list_runs(const std::filesystem::path& folder);

}  // namespace switchyard::report
