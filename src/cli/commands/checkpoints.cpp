// inspect, verify, diff: what can be done with checkpoints without a model.
#include "checkpoint/checkpoint.hpp"

#include <fmt/format.h>

#include <charconv>
#include <iostream>

#include "cli/commands/commands.hpp"

namespace switchyard::cli {
namespace {

void expect_files(Arguments files, std::size_t count, std::string_view usage) {
  if (files.size() != count) {
    throw ConfigError(
        fmt::format("{} file(s) were given where {} is right; usage: {}", files.size(), count, usage));
  }
}

}  // namespace

int inspect(Arguments arguments) {
  expect_files(arguments, 1, "switchyard inspect CHECKPOINT");
  std::cout << checkpoint::inspect(arguments[0]);
  return 0;
}

int verify(Arguments arguments) {
  expect_files(arguments, 1, "switchyard verify CHECKPOINT");
  checkpoint::verify(arguments[0]);
  std::cout << arguments[0] << ": whole\n";
  return 0;
}

int diff(Arguments arguments) {
  double tolerance = 0;
  std::vector<std::string> files;
  for (const std::string& word : arguments) {
    if (!word.starts_with("--")) {
      files.push_back(word);
      continue;
    }
    const std::string_view prefix = "--tolerance=";
    const char* const end = word.data() + word.size();
    const char* const begin = word.data() + std::min(prefix.size(), word.size());
    const auto parsed = std::from_chars(begin, end, tolerance);
    if (!word.starts_with(prefix) || parsed.ec != std::errc() || parsed.ptr != end || !(tolerance >= 0)) {
      throw ConfigError(fmt::format(
          "'{}' is no option of diff (there is --tolerance=NUMBER, at least 0); try `switchyard diff --help`",
          word));
    }
  }
  expect_files(files, 2, "switchyard diff A B [--tolerance=NUMBER]");
  const checkpoint::Difference difference = checkpoint::diff(files[0], files[1], tolerance);
  std::cout << difference.text << (difference.text.ends_with('\n') ? "" : "\n");
  return difference.equal ? 0 : 1;
}

std::string inspect_help() {
  return "usage: switchyard inspect CHECKPOINT\n\nPrints what a checkpoint holds: state, arrays with shapes "
         "and ranges, totals.\n";
}
std::string verify_help() {
  return "usage: switchyard verify CHECKPOINT\n\nChecks the whole file and every array against their "
         "checksums. Exit 0: whole; 3: not, and where.\n";
}
std::string diff_help() {
  return "usage: switchyard diff A B [--tolerance=NUMBER]\n\nCompares two checkpoints bit for bit (or to an "
         "absolute tolerance). Exit 0: equal; 1: not, with the\n"
         "first array and index that differ.\n";
}

}  // namespace switchyard::cli
