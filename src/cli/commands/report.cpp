// report: one page of a run or study.
#include <fmt/format.h>

#include <filesystem>
#include <iostream>
#include <optional>
#include <vector>

#include "base/error.hpp"
#include "cli/commands/commands.hpp"
#include "cli/commands/report_predictions.hpp"
#include "cli/options.hpp"
#include "report/pages.hpp"
#include "run/config.hpp"

namespace switchyard::cli {
namespace {

report::Keys shown_keys() {
  report::Keys keys;
  for (const config::Key& key : run::schema().keys()) {
    if (!key.field->headline.empty()) keys.headline.push_back({key.name, key.field->headline});
    if (key.field->role == config::Role::run) keys.own.push_back(key.name);
  }
  return keys;
}

}  // namespace

int report(Arguments arguments) {
  const CommandLine line =
      parse_command_line(arguments, {.schemas = {&run::schema()}, .own = {"out", "predictions"}});
  if (line.positionals.empty())
    throw ConfigError(
        "report takes the folder of a run or study, or several of runs, and none was given; try `switchyard report "
        "runs/latest`");
  const std::vector<std::filesystem::path> folders(line.positionals.begin(), line.positionals.end());
  const std::filesystem::path own = folders.size() == 1 ? folders.front() / "report.html" : "comparison.html";
  const std::filesystem::path file = line.option("out").value_or(own.string());
  const std::optional<report::Predictions> predictions = predictions_of(line);
  const index_t bytes =
      report::write_report(folders, file, shown_keys(), predictions ? &*predictions : nullptr);
  std::cout << fmt::format("{} ({} KiB)\n", file.string(), (bytes + 1023) / 1024);
  return 0;
}

std::string report_help() {
  return R"(usage: switchyard report RUN|STUDY [--out=FILE] [--predictions=FILE.h5 [--data.dir=FOLDER]]
       switchyard report RUN RUN [RUN ...] [--out=FILE]

Writes one HTML page that needs no network. Of a run (RUN/report.html, or FILE): its numbers, curves, experts, classes,
times and configuration; of a study (STUDY/report.html): its arms, their spread, their differences and mean curves. Of
several runs (comparison.html in this folder): their results with the differences from the first one, the keys that
differ, their curves and experts over each other. A run may still be under way, or have been stopped.

With what `switchyard predict RUN --out=FILE.h5` wrote, the page of a run also shows samples of each expert: those that
it has most of and those that are most contested, as pictures where they are some. Pictures are read from the data of
the run, or as keys of [data] say, which are those that predict was given.
)";
}

}  // namespace switchyard::cli
