// The line that says how far training is: one that is overwritten on a terminal, one per interval elsewhere.
#pragma once

#include <functional>
#include <iosfwd>
#include <optional>
#include <string>
#include <string_view>

#include "base/ids.hpp"
#include "console/terminal.hpp"

namespace switchyard::console {

// What one step reports.
struct StepProgress {
  index_t epoch = 0;
  index_t step = 0;     // steps done, this one included
  index_t samples = 0;  // in the global batch
  double loss = 0;
  double error = 0;
  double seconds = 0;  // that the step took: the rate is of steps alone, as in metrics.jsonl and summary.json
  std::string_view error_name = "error";  // what `error` is
};

struct Progress {
  StepProgress now;
  index_t epochs = 0;
  index_t steps = 0;
  double samples_per_second = 0;
  std::string_view samples = "samples";  // what they are
  std::optional<double> seconds_left;
  std::optional<double> matrix_share;  // of the rate at which matrix products alone would go
};
// "epoch 3/20  step 321/2160  loss 0.3121  error 0.112  24,310 samples/s  2m 10s left  62% of the matrix
// limit", without a line break, in at most `columns`: where there are fewer, the share goes first, then epoch,
// rate, error, loss and step; the time left stays. ASCII.
std::string progress_text(const Progress& progress, index_t columns);

// Used by the root's thread only. Standard output may be a pipe that breaks: a stream in a bad state
// ends the printing, not the run.
class ProgressLine {
 public:
  // Seconds since any fixed moment; never runs backwards.
  using Clock = std::function<double()>;

  struct Options {
    index_t epochs = 0;
    index_t steps = 0;                     // at which step training will end
    index_t first_step = 0;                // steps done before this process began: not 0 after a resume
    index_t steps_per_line = 50;           // where the line is not live
    std::string_view samples = "samples";  // what a rate counts; outlives the line
    double samples_per_second_limit = 0;   // of matrix products alone; 0: not known
    Terminal terminal;
  };

  // Time begins to count now.
  ProgressLine(std::ostream& out, const Options& options, Clock clock = steady_clock());
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;
  // Ends a live line, so that what follows, an error message perhaps, begins on its own.
  ~ProgressLine();

  // After every step; prints when it is time. The rate is that of the steps since the last such line, without
  // what is between them; the time left follows from all steps and everything in between (evaluation, saving).
  void update(const StepProgress& step);
  // Prints other text (an evaluation line) on a line of its own.
  void print(std::string_view text);

  static Clock steady_clock();

 private:
  bool is_due(index_t step, double now) const;
  void end_line();

  std::ostream& out_;
  Options options_;
  Clock clock_;
  double start_;
  double printed_;  // when there was something to read last
  // Of the steps since the last line.
  double interval_seconds_ = 0;
  index_t interval_samples_ = 0;
  bool line_is_open_ = false;  // a live line stands on the terminal without its line break
};

}  // namespace switchyard::console
