#include "console/progress_line.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <ostream>
#include <utility>
#include <vector>

namespace switchyard::console {
namespace {

// A live line changes at most twice a second: faster cannot be read, and costs the step time.
constexpr double live_interval_seconds = 0.5;
constexpr std::string_view clear_to_end = "\x1b[K";

}  // namespace

std::string progress_text(const Progress& progress, index_t columns) {
  struct Part {
    std::string text;
    int goes;  // so soon where there is no room; never: 0
  };
  const StepProgress& now = progress.now;
  std::vector<Part> parts = {
      {fmt::format("epoch {}/{}", now.epoch, progress.epochs), 5},
      {fmt::format("step {}/{}", now.step, progress.steps), 1},
      {fmt::format("loss {:.4f}", now.loss), 2},
      {fmt::format("{} {:.3f}", now.error_name, now.error), 3},
      {fmt::format("{} {}/s", rate_text(progress.samples_per_second), progress.samples), 4}};
  if (progress.seconds_left)
    parts.push_back({fmt::format("{} left", duration_text(*progress.seconds_left)), 0});
  if (progress.matrix_share)
    parts.push_back({fmt::format("{:.0f}% of the matrix limit", 100 * *progress.matrix_share), 6});
  const auto joined = [&] {
    std::string text;
    for (const Part& part : parts) text += (text.empty() ? "" : "  ") + part.text;
    return text;
  };
  std::string text = joined();
  while (std::ssize(text) > columns && parts.size() > 1) {
    parts.erase(std::ranges::max_element(parts, {}, &Part::goes));
    text = joined();
  }
  return text.substr(0, as_size(columns));
}

ProgressLine::Clock ProgressLine::steady_clock() {
  return
      [] { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); };
}

ProgressLine::ProgressLine(std::ostream& out, const Options& options, Clock clock)
    : out_(out), options_(options), clock_(std::move(clock)), start_(clock_()), printed_(start_) {}

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
  if (options_.terminal.live) return now - printed_ >= live_interval_seconds;
  return step % std::max<index_t>(options_.steps_per_line, 1) == 0;
}

void ProgressLine::update(const StepProgress& step) {
  const double now = clock_();
  interval_samples_ += step.samples;
  interval_seconds_ += step.seconds;
  if (!is_due(step.step, now)) return;

  const double rate = interval_seconds_ > 0 ? static_cast<double>(interval_samples_) / interval_seconds_ : 0.0;
  Progress progress{step, options_.epochs, options_.steps, rate, options_.samples, {}, {}};
  if (options_.samples_per_second_limit > 0) progress.matrix_share = rate / options_.samples_per_second_limit;
  if (const index_t done = step.step - options_.first_step; done > 0) {
    progress.seconds_left = (now - start_) / static_cast<double>(done) *
                            static_cast<double>(std::max<index_t>(options_.steps - step.step, 0));
  }
  printed_ = now;
  interval_samples_ = 0;
  interval_seconds_ = 0;

  constexpr index_t any_width = 1000;
  // A line as wide as the terminal would wrap, and \r would no longer reach its start.
  const bool live = options_.terminal.live;
  const index_t columns = live ? std::max<index_t>(options_.terminal.style.columns - 1, 1) : any_width;
  const std::string text = progress_text(progress, columns);
  if (live) {
    out_ << '\r' << text << clear_to_end << std::flush;
    line_is_open_ = true;
  } else {
    out_ << text << '\n' << std::flush;
  }
}

void ProgressLine::print(std::string_view text) {
  end_line();
  out_ << text << '\n' << std::flush;
  printed_ = clock_();
}

}  // namespace switchyard::console
