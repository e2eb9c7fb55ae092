// RUN/trace.json: what each rank did when, for Perfetto or Chrome (docs/tracing.md).
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/span.hpp"
#include "base/timeline.hpp"
#include "comm/clock_offsets.hpp"
#include "comm/communicator.hpp"
#include "moe/statistics.hpp"

namespace switchyard::run {

class TraceFile;

// Holds the timeline of this rank as long as it lives, within a bound, and writes those of all ranks into one
// file in the end. Warm steps allocate nothing.
class Trace {
 public:
  // How a file of ours begins.
  static constexpr std::string_view mark = R"({"otherData":{"writer":"switchyard")";

  // Keeps `steps` steps from `steps_done` on, and the last `steps` ones; of `statistics` the loads. Collective.
  Trace(comm::Communicator& communicator, index_t steps, index_t steps_done, const moe::Statistics& statistics);
  Trace(const Trace&) = delete;
  Trace& operator=(const Trace&) = delete;
  ~Trace();

  // Of a step that has ended. Local.
  void add_loads(index_t step, const moe::Statistics& statistics);
  // From `begin` until now, after step `after`. Local.
  void add(Timeline::Kind kind, index_t after, Timeline::Clock::time_point begin);

  // Replaces the file whole. Collective; ranks agree on what the system refuses the root.
  void write(const std::filesystem::path& file) const;
  // The root's own timeline alone, for when the others cannot be asked. Local. Throws DataError.
  void write_alone(const std::filesystem::path& file) const;

 private:
  index_t place_of(index_t step) const;
  void add_root(TraceFile& file, const Timeline::Kept& kept) const;

  comm::Communicator& communicator_;
  Timeline timeline_;
  index_t steps_;
  index_t steps_done_;
  std::vector<comm::ClockOffset> offsets_;  // at the start
  std::vector<std::string> layers_;         // names
  index_t experts_ = 0;                     // of all layers
  std::vector<index_t> experts_of_;         // of each
  Vector<std::int64_t> loads_;              // [2 steps_, experts_]; root only
  Vector<index_t> step_of_;                 // [2 steps_]: whose loads they are
};

}  // namespace switchyard::run
