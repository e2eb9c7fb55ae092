// What a study says while it runs.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "console/terminal.hpp"
#include "study/results.hpp"

namespace switchyard::study {

// How many runs of the study are done, counting those of other groups by their files. Local.
class Progress {
 public:
  explicit Progress(const Spec& spec);

  index_t total() const { return total_; }
  // Looks into the folders of the runs that were not done before.
  index_t done();
  // What is left, of what was finished since this object was made: NaN before something is, if runs are
  // left. An epoch of an arm weighs what it took in the arm's runs that finished, of an arm with none what one
  // takes on average.
  double work_left();
  // From work_left() and the time since this object was made.
  double seconds_left();

 private:
  struct Run {
    std::size_t arm = 0;
    double epochs = 0;
    std::string folder;
  };
  struct Trained {
    double epochs = 0;
    double seconds = 0;
  };
  double weight(const std::vector<Run>& runs) const;

  std::filesystem::path folder_;
  index_t total_ = 0;
  std::vector<Run> open_;           // not done
  std::vector<Trained> by_arm_;     // in runs that finished
  std::vector<Run> finished_here_;  // since this object was made
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

// "[12/40] original seed 3: validation.error 0.1134, test.error 0.1201 (45s; about 12m 5s left)". No line
// break.
std::string run_line(const Spec& spec, const Job& job, const RunResult& run, double seconds,
                     Progress& progress);

// "[12/40] original seed 3: validation.error 0.1134, test.error 0.1201 (its selection made it)". No line break.
std::string copied_line(const Spec& spec, const Job& job, const RunResult& run, Progress& progress);

// "[13/40] distilled seed 3: skipped (the run of attentive with this seed failed)". No line break.
std::string skip_line(const Spec& spec, const Job& job, std::string_view reason, Progress& progress);

struct StudyLayout {
  int ranks = 1;
  int groups = 1;
  int threads = 1;  // per rank
};
console::StartTable study_table(const Spec& spec, const StudyLayout& layout, Progress& progress);

}  // namespace switchyard::study
