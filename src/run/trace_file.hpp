// The JSON of a trace, in the Trace Event Format of Chrome, which Perfetto reads.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/span.hpp"
#include "base/timeline.hpp"
#include "comm/clock_offsets.hpp"
#include "files/replacement.hpp"

namespace switchyard::run {

// What the ranks have in common.
struct TraceHead {
  int ranks = 1;
  int missing_ranks = 0;  // of which there is no timeline
  index_t steps = 0;      // kept at each end
  // By rank, of the root's clock and theirs: when the trace began, and now (empty: not known).
  std::vector<comm::ClockOffset> first, last;
  std::int64_t now = 0;  // milliseconds since 1970
};

// Rows by expert of one step, of one layer after the other.
struct StepLoads {
  Span<const std::int64_t> loads;
  Span<const std::string> layers;
  Span<const index_t> experts;  // of each layer
};

// The events of a file, one a line, rank by rank. Throws DataError.
class TraceFile {
 public:
  TraceFile(const std::filesystem::path& path, TraceHead head);

  // Of the rank with this number: its machine, its spans, parents before what is in them.
  void begin_rank(int rank, std::string_view host, const Timeline::Kept& kept);
  void add_spans(const std::vector<Timeline::Span>& spans);
  // What begins with the step: rows by expert, as arguments of nothing but counters.
  void add_loads(std::int64_t begin_ns, const StepLoads& loads);
  void publish();

 private:
  std::int64_t on_root(std::int64_t rank_ns) const;
  void begin_event();
  void flush(std::size_t most_bytes);

  TraceHead head_;
  int rank_ = 0;
  std::int64_t zero_ns_;
  bool is_first_ = true;
  std::string text_;
  files::ReplacementFile file_;
};

}  // namespace switchyard::run
