// inspect, verify, diff: what can be done with checkpoints without a model.
#include "checkpoint/checkpoint.hpp"

#include <fmt/format.h>

#include <charconv>
#include <filesystem>
#include <iostream>

#include "base/error.hpp"
#include "cli/commands/commands.hpp"
#include "cli/options.hpp"
#include "run/run_checkpoint.hpp"

namespace switchyard::cli {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view inspect_usage = "switchyard inspect CHECKPOINT|RUN [--checkpoint=best|latest|STEP]";
constexpr std::string_view verify_usage = "switchyard verify CHECKPOINT|RUN [--checkpoint=best|latest|STEP]";
constexpr std::string_view diff_usage =
    "switchyard diff A B [--checkpoint=best|latest|STEP] [--tolerance=NUMBER]";

// The file that `word` means. These commands are about files: of a run folder they take the one that is asked
// for, whole or not.
fs::path file_of(const std::string& word, const std::optional<std::string>& name) {
  std::error_code ignored;  // whoever opens it says what is wrong
  if (!name && !fs::is_directory(word, ignored)) return word;
  return run::named_checkpoint(word, name.value_or("latest"));
}

// The `count` checkpoints that the line means.
std::vector<fs::path> files_of(const CommandLine& line, std::size_t count, std::string_view usage) {
  if (line.positionals.size() != count) {
    throw ConfigError(fmt::format("{} file(s) were given where {} is right; usage: {}", line.positionals.size(),
                                  count, usage));
  }
  std::vector<fs::path> files;
  for (const std::string& word : line.positionals) {
    files.push_back(file_of(word, line.option("checkpoint")));
    if (files.back() != word && count > 1) std::cout << word << ": " << files.back().string() << '\n';
  }
  return files;
}

fs::path file_of(Arguments arguments, std::string_view usage) {
  return files_of(parse_command_line(arguments, {.own = {"checkpoint"}}), 1, usage)[0];
}

double tolerance_of(const CommandLine& line) {
  const std::string text = line.option("tolerance").value_or("0");
  double tolerance = 0;
  const char* const end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data(), end, tolerance);
  if (parsed.ec != std::errc() || parsed.ptr != end || !(tolerance >= 0)) {
    throw ConfigError(
        fmt::format("--tolerance={} is no tolerance (a number, at least 0); usage: {}", text, diff_usage));
  }
  return tolerance;
}

std::string help(std::string_view usage, std::string_view text) {
  return fmt::format(
      "usage: {}\n\n{}\nOf a run folder: the checkpoint that RUN/checkpoints/latest names, or the one that "
      "--checkpoint says.\n",
      usage, text);
}

}  // namespace

int inspect(Arguments arguments) {
  std::cout << checkpoint::inspect(file_of(arguments, inspect_usage));
  return 0;
}

int verify(Arguments arguments) {
  const fs::path file = file_of(arguments, verify_usage);
  checkpoint::verify(file);
  std::cout << file.string() << ": whole\n";
  return 0;
}

int diff(Arguments arguments) {
  const CommandLine line = parse_command_line(arguments, {.own = {"checkpoint", "tolerance"}});
  const double tolerance = tolerance_of(line);
  const std::vector<fs::path> files = files_of(line, 2, diff_usage);
  const checkpoint::Difference difference = checkpoint::diff(files[0], files[1], tolerance);
  std::cout << difference.text << (difference.text.ends_with('\n') ? "" : "\n");
  return difference.equal ? 0 : 1;
}

std::string inspect_help() {
  return help(inspect_usage, "Prints what a checkpoint holds: state, arrays with shapes and ranges, totals.");
}
std::string verify_help() {
  return help(
      verify_usage,
      "Checks the whole file and every array against their checksums. Exit 0: whole; 3: not, and where.");
}
std::string diff_help() {
  return help(diff_usage,
              "Compares two checkpoints bit for bit (or to an absolute tolerance). Exit 0: equal; 1: not, with "
              "the\nfirst array and index that differ.");
}

}  // namespace switchyard::cli
