// metrics.jsonl: one JSON object per line, in the order of steps.
//
// Whatever depends on the machine's clock or on the layout (rows sent between ranks) is in the member "time",
// and nothing else is: without it, the files of two runs of one configuration and seed are equal byte for byte,
// on any layout. Numbers print with the fewest digits that give the same double when read; NaN and infinities,
// which JSON lacks, print as null.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <utility>

#include "base/ids.hpp"
#include "base/phase_clock.hpp"
#include "base/span.hpp"
#include "files/appended_file.hpp"
#include "moe/statistics.hpp"
#include "run/json_line.hpp"

namespace switchyard::run {

using Json = nlohmann::ordered_json;  // members keep the order in which they were added

// What the statistics of the global batch do not hold.
struct StepRecord {
  index_t step = 0;                 // 1 is the first
  index_t epoch = 0;                // 1 is the first
  double loss = 0;                  // total: task and regularisers
  Span<const double> regularisers;  // losses, in the order of moe::regulariser_kinds()
  double gradient_norm = 0;         // before clipping
  double learning_rate = 0;
  std::int64_t at = 0;  // when it ended: milliseconds since 1970
};
// {"kind": "step", ...}, to `sink`. `statistics` are those of the step's global batch, `seconds` the
// root's times. Written without Json objects, whose making takes a tenth of a step of 0.8 ms.
void write_step(RecordSink& sink, const StepRecord& record, const moe::Statistics& statistics,
                const PhaseClock::Seconds& seconds);

struct EvaluationRecord {
  std::string split;  // "validation", "test"
  index_t step = 0;   // steps done
  index_t epoch = 0;  // epochs begun
  double seconds = 0;
  std::int64_t at = 0;  // when it ended: milliseconds since 1970
};
// {"kind": "evaluation", ...}, with the class-by-expert tables (rows: classes).
Json evaluation_record_object(const EvaluationRecord& record, const moe::Statistics& statistics);

// The figures of a split, as metrics.jsonl, summary.json and `switchyard eval` have them: docs/metrics.md.
Json evaluation_object(const moe::Statistics& statistics);

// Appends to metrics.jsonl, a record of files::AppendedFile each line. Local to the root.
class MetricsWriter {
 public:
  // Opens or makes the file. Throws DataError, as all below.
  explicit MetricsWriter(std::filesystem::path path) : file_(std::move(path)) {}
  // What was written has reached the disk when it returns: before a checkpoint is published.
  void sync() { file_.sync(); }
  void write(const Json& object);
  // The line of a step, which allocates nothing once one was as long.
  void write_step(const StepRecord& record, const moe::Statistics& statistics,
                  const PhaseClock::Seconds& seconds);

 private:
  files::AppendedFile file_;
  JsonLine step_line_;
};

// Takes out of metrics.jsonl every line with a "step" greater than `step`, and every line that is no JSON
// object (the torn last line of a killed run). Returns how many lines it took out. Called before a run goes on
// from the checkpoint of `step`; -1 empties the file for a new start. The file is replaced whole or not at all;
// a missing one stays missing; one with fewer steps than metrics.every_steps = `every` leaves is a warning.
// Needs memory for one line. Throws DataError.
index_t cut_metrics(const std::filesystem::path& path, index_t step, index_t every = 1);

}  // namespace switchyard::run
