#include "run/trace_file.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/wall_clock.hpp"
#include "comm/operation.hpp"
#include "run/trace.hpp"

namespace switchyard::run {
namespace {

using Kind = Timeline::Kind;
using Span = Timeline::Span;

constexpr index_t experts_shown = 64;  // of a layer: each is a track
constexpr std::size_t piece_bytes = 1 << 20;

std::string_view category(Kind kind) {
  switch (kind) {
    case Kind::step:
      return "step";
    case Kind::phase:
      return "phase";
    case Kind::operation:
      return "operation";
    case Kind::evaluation:
      return "evaluation";
    case Kind::checkpoint:
      return "checkpoint";
  }
  return "";
}

std::string name_of(const Span& span) {
  switch (span.kind) {
    case Kind::step:
      return fmt::format("step {}", span.number);
    case Kind::phase:
      return std::string(name(static_cast<Phase>(span.what)));
    case Kind::operation:
      return std::string(comm::name(static_cast<comm::Operation>(span.what)));
    case Kind::evaluation:
    case Kind::checkpoint:
      return std::string(category(span.kind));
  }
  return {};
}

// Bytes that the rank sent in the step at `begin`; what is in it stands behind it.
index_t sent_bytes(std::vector<Span>::const_iterator begin, std::vector<Span>::const_iterator end) {
  index_t bytes = 0;
  for (auto span = begin + 1; span != end && span->begin_ns < begin->end_ns; ++span) {
    if (span->kind == Kind::operation) bytes += span->number;
  }
  return bytes;
}

std::string offset_text(const comm::ClockOffset& offset) {
  return fmt::format(R"({{"offset_ns":{},"round_trip_ns":{}}})", offset.offset_ns, offset.round_trip_ns);
}

// Microseconds, which the format counts in, to the nanosecond. Some readers multiply the number by 1000 and
// cut: where that would lose a nanosecond, and let two neighbours overlap, it is a tenth of one more.
std::string microseconds(std::int64_t ns) {
  const bool is_cut = static_cast<std::int64_t>(static_cast<double>(ns) / 1000.0 * 1000.0) < ns;
  return fmt::format("{}.{:03}{}", ns / 1000, ns % 1000, is_cut ? "1" : "");
}

}  // namespace

TraceFile::TraceFile(const std::filesystem::path& path, TraceHead head)
    : head_(std::move(head)), zero_ns_(head_.first.front().root_ns), file_(path) {
  text_ = fmt::format(
      R"({},"ranks":{},"ranks_left_out":{},"steps_kept_at_each_end":{},"written":"{}","clock_offsets":[)",
      Trace::mark, head_.ranks, head_.missing_ranks, head_.steps, IsoTime(head_.now).text());
  for (std::size_t rank = 0; rank < head_.first.size(); ++rank) {
    text_ += fmt::format(R"({}{{"rank":{},"begin":{},"end":{}}})", rank > 0 ? "," : "", rank,
                         offset_text(head_.first[rank]),
                         rank < head_.last.size() ? offset_text(head_.last[rank]) : "null");
  }
  text_ += "]},\n\"displayTimeUnit\":\"ms\",\n\"traceEvents\":[\n";
}

// Between the two moments at which it is known the offset moves in a line: clocks drift.
std::int64_t TraceFile::on_root(std::int64_t rank_ns) const {
  const comm::ClockOffset& first = head_.first[as_size(rank_)];
  std::int64_t offset = first.offset_ns;
  if (as_size(rank_) < head_.last.size()) {
    const comm::ClockOffset& last = head_.last[as_size(rank_)];
    const auto since = static_cast<double>(rank_ns - first.offset_ns - first.root_ns);
    const auto all = static_cast<double>(std::max<std::int64_t>(last.root_ns - first.root_ns, 1));
    offset += static_cast<std::int64_t>(since / all * static_cast<double>(last.offset_ns - first.offset_ns));
  }
  return std::max<std::int64_t>(rank_ns - offset - zero_ns_, 0);
}

void TraceFile::begin_event() {
  if (!is_first_) text_ += ",\n";
  is_first_ = false;
}

void TraceFile::flush(std::size_t most_bytes) {
  if (text_.size() <= most_bytes) return;
  file_.write(text_);
  text_.clear();
}

void TraceFile::begin_rank(int rank, std::string_view host, const Timeline::Kept& kept) {
  rank_ = rank;
  const auto name_event = [&](std::string_view what, const std::string& name) {
    begin_event();
    text_ +=
        fmt::format(R"({{"name":"{}","ph":"M","pid":{},"tid":0,"args":{{"name":"{}"}}}})", what, rank, name);
  };
  name_event("process_name", fmt::format("rank {} on {}", rank, host));
  name_event("thread_name", "training");
  begin_event();
  text_ += fmt::format(
      R"({{"name":"process_sort_index","ph":"M","pid":{0},"tid":0,"args":{{"sort_index":{0}}}}})", rank);
  if (kept.left_out == 0) return;
  const auto after = std::ranges::find_if(kept.spans, [&](const Span& span) {
    return span.kind == Kind::step && span.number > kept.last_left_out;
  });
  if (after == kept.spans.end()) return;
  begin_event();
  text_ += fmt::format(R"({{"name":"steps {} to {} are left out","ph":"i","s":"t","pid":{},"tid":0,"ts":{}}})",
                       kept.last_left_out - kept.left_out + 1, kept.last_left_out, rank,
                       microseconds(on_root(after->begin_ns)));
}

void TraceFile::add_spans(const std::vector<Span>& spans) {
  for (auto span = spans.begin(); span != spans.end(); ++span) {
    // Both ends are rounded alike: what is in another span stays in it.
    const std::int64_t begin = on_root(span->begin_ns);
    const std::int64_t end = on_root(span->end_ns);
    begin_event();
    fmt::format_to(std::back_inserter(text_),
                   R"({{"name":"{}","cat":"{}","ph":"X","pid":{},"tid":0,"ts":{},"dur":{})", name_of(*span),
                   category(span->kind), rank_, microseconds(begin), microseconds(end - begin));
    switch (span->kind) {
      case Kind::step:
        text_ += fmt::format(R"(,"args":{{"step":{},"sent_bytes":{}}}}})", span->number,
                             sent_bytes(span, spans.end()));
        break;
      case Kind::operation:
        text_ += fmt::format(R"(,"args":{{"sent_bytes":{}}}}})", span->number);
        break;
      case Kind::evaluation:
      case Kind::checkpoint:
        text_ += fmt::format(R"(,"args":{{"after_step":{}}}}})", span->number);
        break;
      case Kind::phase:
        text_ += '}';
    }
    flush(piece_bytes);
  }
}

void TraceFile::add_loads(std::int64_t begin_ns, const StepLoads& loads) {
  index_t place = 0;
  for (std::size_t layer = 0; layer < loads.layers.size(); ++layer) {
    const std::string& name = loads.layers[layer];
    begin_event();
    text_ += fmt::format(R"({{"name":"rows by expert{}{}","ph":"C","pid":{},"ts":{},"args":{{)",
                         name.empty() ? "" : ", ", name, rank_, microseconds(on_root(begin_ns)));
    for (index_t e = 0; e < std::min(loads.experts[layer], experts_shown); ++e)
      text_ += fmt::format(R"({}"{}":{})", e > 0 ? "," : "", e, loads.loads[place + e]);
    text_ += "}}";
    place += loads.experts[layer];
  }
  flush(piece_bytes);
}

void TraceFile::publish() {
  text_ += "\n]}\n";
  flush(0);
  file_.publish();
}

}  // namespace switchyard::run
