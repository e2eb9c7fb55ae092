// The records of a run as TensorBoard shows them: RUN/tensorboard (docs/metrics.md says which tag is what).
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "base/span.hpp"
#include "events/event_file.hpp"
#include "run/metrics.hpp"
#include "run/record_sink.hpp"

namespace switchyard::run {

// It is told the records that metrics.jsonl holds and lists no figure: numbers are scalars, arrays of numbers
// by expert are histograms, tables are pictures, and a figure that is new there appears here. Local to the
// root. A step's event allocates nothing once one was as long.
class EventLog final : public RecordSink {
 public:
  // Steps after `steps_done` that are there already are forgotten. Throws DataError.
  EventLog(const std::filesystem::path& folder, index_t steps_done);

  // Each is one event, in the kernel when it returns. Throws DataError, as MetricsWriter.
  void write_step(const StepRecord& record, const moe::Statistics& statistics,
                  const PhaseClock::Seconds& seconds);
  // `object` is evaluation_record_object(record, ...).
  void write_evaluation(const EvaluationRecord& record, const Json& object);
  void sync() { file_.sync(); }

 private:
  using RecordSink::add;
  using RecordSink::open_array;
  using RecordSink::open_object;
  void begin() override;
  void end() override;
  void name(std::string_view name) override { name_ = name; }
  void open_object() override;
  void close_object() override;
  void open_array() override;
  void close_array() override;
  void add(double value) override;
  void add(index_t value) override;
  void add(std::string_view value) override;

  bool is_evaluation() const { return !split_.empty(); }
  std::string_view tag(std::string_view group);
  void add_scalar(double value);
  void add_array();
  void add_picture();

  events::EventFile file_;
  std::int64_t now_ = 0;  // of the record under way, as all below
  index_t step_ = 0;
  std::string split_;  // empty: it is a step
  std::string name_;   // of the member under way
  std::string layer_;  // "/blocks/00/mixture": behind the names of its figures
  bool in_time_ = false;
  int depth_ = 0;          // of arrays of numbers
  Vector<double> values_;  // of such an array
  index_t rows_ = 0;       // of it, if it is one of arrays
  std::string tag_;
  Vector<std::uint8_t> shades_;
};

}  // namespace switchyard::run
