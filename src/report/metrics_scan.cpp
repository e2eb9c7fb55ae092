#include "report/metrics_scan.hpp"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <fstream>
#include <string_view>

#include "base/error.hpp"
#include "base/lines.hpp"
#include "files/regular_file.hpp"

namespace switchyard::report {
namespace {

constexpr std::string_view step_line = R"({"kind":"step",)";
constexpr std::string_view evaluation_line = R"({"kind":"evaluation",)";

// The number behind `name`, which is first looked for from `from` on; NaN: there is none.
double number_behind(std::string_view line, std::string_view name, std::size_t from = 0) {
  double number = std::numeric_limits<double>::quiet_NaN();
  const std::size_t at = from == std::string_view::npos ? from : line.find(name, from);
  if (at != std::string_view::npos)
    std::from_chars(line.data() + at + name.size(), line.data() + line.size(), number);
  return number;
}

}  // namespace

MetricsScan scan_metrics(const std::filesystem::path& path) {
  MetricsScan scan;
  if (!files::is_there(path)) return scan;
  if (const std::string reason = files::why_unreadable(path); !reason.empty())
    throw DataError(fmt::format("cannot read '{}' ({}); check the run folder", path.string(), reason));
  std::ifstream lines(path, std::ios::binary);
  double last_epoch = 0;
  for (std::string line; next_line(lines, line);) {
    if (!line.ends_with('}')) continue;  // torn: the run is writing, or was killed while it did
    if (line.starts_with(step_line)) {
      const double step = number_behind(line, R"("step":)");
      const double epoch = number_behind(line, R"("epoch":)");
      // The first step of an epoch, behind the last one of another, tells how many the epochs before it had.
      if (epoch > 1 && epoch != last_epoch && step == scan.last_step + 1)
        scan.steps_per_epoch = (step - 1) / (epoch - 1);
      last_epoch = epoch;
      if (std::isfinite(step)) scan.last_step = step;
      ++scan.records;
      const double seconds = number_behind(line, R"("step":)", line.rfind(R"("time":)"));
      if (std::isfinite(seconds)) scan.seconds += seconds;
    } else if (line.starts_with(evaluation_line)) {
      Json record = parse_shallow(line);
      const std::string split = string_of(record, "split");
      if (!split.empty()) scan.newest.insert_or_assign(split, std::move(record));
    }
  }
  return scan;
}

}  // namespace switchyard::report
