// report: one page of a run or study.
#include "report/pages.hpp"

#include <fmt/format.h>

#include <filesystem>
#include <iostream>

#include "base/error.hpp"
#include "cli/commands/commands.hpp"
#include "cli/options.hpp"
#include "run/config.hpp"

namespace switchyard::cli {
namespace {

report::Headline headline_keys() {
  report::Headline shown;
  for (const config::Key& key : run::schema().keys()) {
    if (!key.field->headline.empty()) shown.push_back({key.name, key.field->headline});
  }
  return shown;
}

}  // namespace

int report(Arguments arguments) {
  const CommandLine line = parse_command_line(arguments, {.own = {"out"}});
  const std::filesystem::path folder =
      only_positional(line, "report takes one folder of a run or study", "switchyard report runs/latest");
  const std::filesystem::path file = line.option("out").value_or((folder / "report.html").string());
  const index_t bytes = report::write_report(folder, file, headline_keys());
  std::cout << fmt::format("{} ({} KiB)\n", file.string(), (bytes + 1023) / 1024);
  return 0;
}

std::string report_help() {
  return "usage: switchyard report RUN|STUDY [--out=FILE]\n\n"
         "Writes one HTML page that needs no network (RUN/report.html, or FILE): of a run its numbers, curves, "
         "experts, classes,\n"
         "times and configuration; of a study its arms, their spread, their differences and mean curves. A run "
         "may still be\n"
         "under way, or have been stopped.\n";
}

}  // namespace switchyard::cli
