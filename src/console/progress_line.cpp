#include "console/progress_line.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <ostream>
#include <utility>

namespace switchyard::console {
namespace {

// A live line changes at most twice a second: faster cannot be read, and costs the step time.
constexpr double live_interval_seconds = 0.5;
constexpr std::string_view clear_to_end = "\x1b[K";

}  // namespace

std::string progress_text(const Progress& progress) {
  std::string text = fmt::format("epoch {}/{}  step {}/{}  loss {:.4f}  {} {:.3f}  {} {}/s", progress.now.epoch,
                                 progress.epochs, progress.now.step, progress.steps, progress.now.loss,
                                 progress.now.error_name, progress.now.error,
                                 rate_text(progress.samples_per_second), progress.samples);
  if (progress.seconds_left) text += fmt::format("  {} left", duration_text(*progress.seconds_left));
  if (progress.matrix_share) text += fmt::format("  {:.0f}% of the matrix limit", 100 * *progress.matrix_share);
  return text;
}

ProgressLine::Clock ProgressLine::steady_clock() {
  return
      [] { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); };
}

ProgressLine::ProgressLine(std::ostream& out, const Options& options, Clock clock)
    : out_(out), options_(options), clock_(std::move(clock)), start_(clock_()), interval_start_(start_) {}

ProgressLine::~ProgressLine() {
  try {
    end_line();
  } catch (...) {  // a stream that was told to throw: nothing left to print on
  }
}

void ProgressLine::end_line() {
  if (line_is_open_) out_ << '\n' << std::flush;
  line_is_open_ = false;
}

bool ProgressLine::is_due(index_t step, double now) const {
  if (step >= options_.steps) return true;
  if (options_.terminal.live) return now - interval_start_ >= live_interval_seconds;
  return step % std::max<index_t>(options_.steps_per_line, 1) == 0;
}

void ProgressLine::restart_interval(double now) {
  interval_start_ = now;
  interval_samples_ = 0;
}

void ProgressLine::update(const StepProgress& step) {
  const double now = clock_();
  interval_samples_ += step.samples;
  if (!is_due(step.step, now)) return;

  const double interval = now - interval_start_;
  const double rate = interval > 0 ? static_cast<double>(interval_samples_) / interval : 0.0;
  Progress progress{step, options_.epochs, options_.steps, rate, options_.samples, {}, {}};
  if (options_.samples_per_second_limit > 0) progress.matrix_share = rate / options_.samples_per_second_limit;
  if (const index_t done = step.step - options_.first_step; done > 0) {
    progress.seconds_left = (now - start_) / static_cast<double>(done) *
                            static_cast<double>(std::max<index_t>(options_.steps - step.step, 0));
  }
  restart_interval(now);

  const std::string text = progress_text(progress);
  if (options_.terminal.live) {
    // A line as wide as the terminal would wrap, and \r would no longer reach its start. The text is ASCII.
    const auto room = as_size(std::max<index_t>(options_.terminal.style.columns - 1, 1));
    out_ << '\r' << text.substr(0, room) << clear_to_end << std::flush;
    line_is_open_ = true;
  } else {
    out_ << text << '\n' << std::flush;
  }
}

void ProgressLine::print(std::string_view text) {
  end_line();
  out_ << text << '\n' << std::flush;
  restart_interval(clock_());
}

}  // namespace switchyard::console
