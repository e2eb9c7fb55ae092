// report: one page of a run or study.
#include "report/write_report.hpp"

#include <fmt/format.h>

#include <filesystem>
#include <iostream>
#include <vector>

#include "base/error.hpp"
#include "cli/commands/commands.hpp"

namespace switchyard::cli {

int report(Arguments arguments) {
  constexpr std::string_view out_option = "--out=";
  std::vector<std::filesystem::path> folders;
  std::filesystem::path file;
  for (const std::string& word : arguments) {
    if (!word.starts_with("--")) {
      folders.emplace_back(word);
    } else if (word.starts_with(out_option) && word.size() > out_option.size() && file.empty()) {
      file = word.substr(out_option.size());
    } else {
      throw ConfigError(fmt::format(
          "'{}' is no option of report (there is --out=FILE, once); try `switchyard report --help`", word));
    }
  }
  if (folders.size() != 1) {
    throw ConfigError(
        fmt::format("report takes one folder of a run or study, and {} were given; try `switchyard "
                    "report runs/latest`",
                    folders.size()));
  }
  if (file.empty()) file = folders[0] / "report.html";
  const index_t bytes = report::write_report(folders[0], file);
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
