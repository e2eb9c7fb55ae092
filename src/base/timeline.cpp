#include "base/timeline.hpp"

#include <algorithm>
#include <limits>
#include <tuple>
#include <utility>

#include "base/contract.hpp"

namespace switchyard {
namespace {

// Of a step of a transformer of a dozen layers, with room to spare; a step of a mixture has fifty. Longer ones
// leave fewer of them.
constexpr index_t spans_of_step = 1024;
constexpr index_t most_spans = 1 << 20;  // 32 MiB, at each end

}  // namespace

Timeline::Timeline(index_t steps)
    : steps_(steps), capacity_(as_size(std::min(steps, most_spans / spans_of_step) * spans_of_step)) {
  SY_EXPECTS(steps > 0, "a timeline of {} steps", steps);
  first_.reserve(capacity_);
  last_.reserve(capacity_);
}

void Timeline::begin_step(index_t step, Clock::time_point begin) {
  ++begun_;
  in_step_ = true;
  step_ = {ns(begin), 0, step, Kind::step, 0};
}

void Timeline::add_phase(Phase phase, Clock::time_point begin, Clock::time_point end) {
  if (in_step_) keep({ns(begin), ns(end), 0, Kind::phase, static_cast<std::uint8_t>(phase)});
}

void Timeline::add_operation(int operation, Clock::time_point begin, Clock::time_point end,
                             index_t sent_bytes) {
  if (in_step_) keep({ns(begin), ns(end), sent_bytes, Kind::operation, static_cast<std::uint8_t>(operation)});
}

void Timeline::end_step(Clock::time_point end) {
  step_.end_ns = ns(end);
  keep(step_);
  in_step_ = false;
}

void Timeline::add(Kind kind, index_t after_step, Clock::time_point begin, Clock::time_point end) {
  keep({ns(begin), ns(end), after_step, kind, 0});
}

void Timeline::keep(const Span& span) {
  if (begun_ <= steps_ && first_.size() < capacity_) {
    first_.push_back(span);
  } else if (last_.size() < capacity_) {
    last_.push_back(span);
  } else {
    wrapped_ = true;
    last_[next_] = span;
    next_ = (next_ + 1) % capacity_;
  }
}

namespace {

bool is_step(const Timeline::Span& span) { return span.kind == Timeline::Kind::step; }

// Of a ring that has lost what began before `lost`: without steps that have lost something, and what is in
// them.
void keep_whole_steps(std::vector<Timeline::Span>& spans, std::int64_t lost) {
  std::erase_if(spans, [&](const Timeline::Span& span) { return is_step(span) && span.begin_ns < lost; });
  const auto whole = std::ranges::find_if(spans, is_step);
  const std::int64_t begin = whole == spans.end() ? std::numeric_limits<std::int64_t>::max() : whole->begin_ns;
  std::erase_if(spans, [&](const Timeline::Span& span) {
    const bool is_in_step = span.kind == Timeline::Kind::phase || span.kind == Timeline::Kind::operation;
    return is_in_step && span.begin_ns < begin;
  });
}

// The last `steps` steps, with what comes between and behind them.
void keep_last_steps(std::vector<Timeline::Span>& spans, index_t steps) {
  index_t seen = 0;
  for (auto span = spans.rbegin(); span != spans.rend(); ++span) {
    if (!is_step(*span) || ++seen < steps) continue;
    const std::int64_t begin = span->begin_ns;
    std::erase_if(spans, [&](const Timeline::Span& other) { return other.begin_ns < begin; });
    return;
  }
}

}  // namespace

Timeline::Span Timeline::open_step() const {
  Span open = step_;
  open.end_ns = open.begin_ns;
  if (!first_.empty()) open.end_ns = std::max(open.end_ns, first_.back().end_ns);
  if (!last_.empty())
    open.end_ns = std::max(open.end_ns, last_[(next_ + last_.size() - 1) % last_.size()].end_ns);
  return open;
}

Timeline::Kept Timeline::kept() const {
  std::vector<Span> first = first_;
  std::vector<Span> last = last_;
  std::rotate(last.begin(), last.begin() + static_cast<std::ptrdiff_t>(next_), last.end());
  if (in_step_) last.push_back(open_step());
  if (wrapped_) {
    keep_whole_steps(last, last.front().end_ns);
    // A step that had no room left among the first ones is not whole there either.
    const auto whole = std::find_if(first.rbegin(), first.rend(), is_step);
    const std::int64_t end = whole == first.rend() ? 0 : whole->end_ns;
    std::erase_if(first, [&](const Span& span) { return span.end_ns > end; });
  }
  keep_last_steps(last, steps_);

  Kept kept;
  kept.left_out = begun_ - std::ranges::count_if(first, is_step) - std::ranges::count_if(last, is_step);
  if (kept.left_out > 0) {
    const auto after = std::ranges::find_if(last, is_step);
    kept.last_left_out = after == last.end() ? step_.number : after->number - 1;
  }
  kept.spans = std::move(first);
  kept.spans.insert(kept.spans.end(), last.begin(), last.end());
  std::ranges::stable_sort(kept.spans, {},
                           [](const Span& span) { return std::tuple(span.begin_ns, -span.end_ns, span.kind); });
  return kept;
}

}  // namespace switchyard
