// The program: finds the sub-command, runs it, and turns what it throws into one sentence and an exit code.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <exception>
#include <functional>
#include <iostream>
#include <iterator>
#include <new>
#include <optional>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include "base/build_info.hpp"
#include "base/crash.hpp"
#include "base/error.hpp"
#include "base/log.hpp"
#include "base/standard_streams.hpp"
#include "base/stop_signals.hpp"
#include "cli/commands/commands.hpp"
#include "cli/options.hpp"
#include "comm/launch_check.hpp"
#include "config/describe.hpp"
#include "config/messages.hpp"
#include "run/config.hpp"

namespace switchyard::cli {
namespace {

struct Command {
  std::string_view name;
  std::string_view summary;
  std::string (*help)();
  int (*on_ranks)(Runtime&, Arguments);  // or
  int (*on_one)(Arguments);
  bool stops_on_signals = false;  // with a checkpoint; other commands just end
};

constexpr Command commands[] = {
    {"new", "writes a configuration for data of your own", new_help, nullptr, new_configuration},
    {"train", "trains; makes a run folder", train_help, train, nullptr, true},
    {"resume", "goes on from the newest valid checkpoint of a run folder", resume_help, resume, nullptr, true},
    {"study", "arms x values x seeds: runs, their selection and tables; resumable", study_help, study, nullptr,
     true},
    {"eval", "evaluates a checkpoint; one JSON object on standard output", evaluate_help, evaluate, nullptr},
    {"predict", "what a model says of each sample, as HDF5 or CSV", predict_help, predict, nullptr},
    {"sample", "text that a model of text goes on with", sample_help, sample, nullptr},
    {"report", "one self-contained HTML page of a run, a study, or several runs compared", report_help, nullptr,
     report},
    {"list", "the runs of a folder: how far they are, how good", list_help, nullptr, list},
    {"plan", "placement, memory per rank, bytes per step; starts no training", plan_help, nullptr, plan},
    {"corpus", "makes tokens of text files, with a vocabulary learned from them", corpus_help, nullptr, corpus},
    {"convert", "writes the files of a data set as one HDF5 file", convert_help, nullptr, convert},
    {"samples", "writes the data of a configuration as HDF5", samples_help, nullptr, samples},
    {"export", "writes a model as safetensors, for other programs", export_help, nullptr, export_model},
    {"import", "makes a checkpoint of such a folder", import_help, nullptr, import_model},
    {"inspect", "what a checkpoint holds", inspect_help, nullptr, inspect},
    {"verify", "whether a checkpoint is whole", verify_help, nullptr, verify},
    {"diff", "whether two checkpoints agree, bit for bit", diff_help, nullptr, diff},
    {"bench", "step, exchange, matmul, device: times, percentiles, share of the machine's limit", bench_help,
     bench, nullptr},
    {"doctor", "what this machine offers and what will be used", doctor_help, nullptr, doctor},
};

std::string usage() {
  std::string text =
      "switchyard trains mixtures of experts, with the experts spread over MPI ranks.\n\nusage: switchyard "
      "COMMAND ...\n\n";
  for (const Command& command : commands) text += fmt::format("  {:<10} {}\n", command.name, command.summary);
  text +=
      "\nswitchyard COMMAND --help tells more; switchyard help SECTION (data, moe, ...) lists the keys of a section, "
      "and\nswitchyard help configuration every key.\n"
      "One rank: switchyard train FILE.ini. Several: mpirun -n 4 switchyard train FILE.ini.\n";
  return text;
}

// Of a command, of a section of configurations, or of all.
std::string help_of(std::string_view word) {
  if (word.empty()) return usage();
  if (word == "configuration") return configuration_page();
  std::string keys = config::options_help(run::schema(), word);
  for (const Command& command : commands) {
    if (command.name != word) continue;
    // A section of the same name is what a command that lists all keys has less use for.
    return keys.empty() ? command.help()
                        : fmt::format("{}\nA command, too: switchyard {} --help\n", keys, word);
  }
  return keys;
}

int code_of(ExitCode code) { return static_cast<int>(code); }

// Whether this is the process that speaks for a launch before its ranks know each other.
bool is_first_process() { return comm::find_launch().value_or(comm::Launch{}).process == 0; }

// The code of another process, once the first one has spoken: a launcher ends everybody at the first code that
// is not 0.
int after_the_first(ExitCode code) {
  std::this_thread::sleep_for(std::chrono::seconds(1));
  return code_of(code);
}

// Runs `action` and says once what went wrong. A failure that all ranks share ends in an orderly way; one of
// this rank alone ends the others through the launcher, since they may be waiting for it. `runtime`: null for a
// command of one process.
int guarded(Runtime* runtime, const std::function<int()>& action) {
  const auto alone = [&](std::string_view kind, std::string_view message, ExitCode code) {
    log::error("{}: {}", kind, message);
    if (runtime != nullptr) runtime->abort(code);
    return code_of(code);
  };
  try {
    return action();
  } catch (const AgreedError& error) {  // ranks know each other: only they agree
    if (runtime->is_root()) log::error("{}: {}", name(error.kind()), error.what());
    runtime->communicator().barrier();
    return code_of(exit_code(error.kind()));
  } catch (const Error& error) {
    // Each process of such a launch throws it.
    const bool is_lonely = runtime != nullptr && runtime->has_started() && runtime->communicator().size() == 1;
    if (is_lonely && error.kind() == ErrorKind::config && !is_first_process())
      return after_the_first(exit_code(error.kind()));
    return alone(name(error.kind()), error.what(), exit_code(error.kind()));
  } catch (const std::bad_alloc&) {
    return alone(name(ErrorKind::out_of_memory),
                 "out of host memory (the system refused); use more ranks, a smaller batch or a smaller model",
                 exit_code(ErrorKind::out_of_memory));
  } catch (const std::exception& error) {
    return alone("unexpected failure",
                 fmt::format("{}; this is a defect of switchyard, please report it", error.what()),
                 ExitCode::internal);
  }
}

// run.wait_seconds if the command line sets it, since the configuration is read after the first waits. What is
// no number is refused later, with the other options.
double first_wait_limit(Arguments arguments) {
  constexpr std::string_view option = "--run.wait_seconds=";
  for (const std::string& word : arguments) {
    double seconds = 0;
    if (!word.starts_with(option)) continue;
    const auto [end, error] = std::from_chars(word.data() + option.size(), word.data() + word.size(), seconds);
    if (error == std::errc() && end == word.data() + word.size() && seconds > 0) return seconds;
  }
  return comm::start_limit_seconds;
}

int help(const std::string& word) {
  const std::string text = help_of(word);
  if (!text.empty()) {
    std::cout << text;
    return 0;
  }
  if (!is_first_process()) return after_the_first(ExitCode::config);
  std::vector<std::string_view> sections;
  for (const config::Section& section : run::schema().sections()) sections.push_back(section.name);
  std::vector<std::string_view> known = sections;
  for (const Command& command : commands) known.push_back(command.name);
  std::cerr << fmt::format(
      "switchyard: there is no command and no section '{}'; did you mean '{}'? `switchyard help` "
      "lists the commands, and the sections are {}\n",
      word, config::nearest(word, known), fmt::join(sections, ", "));
  return code_of(ExitCode::config);
}

int run_command(const Command& command, Arguments arguments) {
  if (asks_for_help(arguments)) {
    std::cout << command.help();
    return 0;
  }
  // Every process that was started does what it was told: a launch of several may check a file in each.
  if (command.on_one != nullptr) return guarded(nullptr, [&] { return command.on_one(arguments); });
  return guarded(nullptr, [&] {
    std::optional<StopSignals> signals;
    if (command.stops_on_signals)
      signals.emplace(is_first_process() ? StopSignals::Says::what_it_does : StopSignals::Says::nothing);
    Runtime runtime(first_wait_limit(arguments));
    return guarded(&runtime, [&] {
      runtime.start(command.name);
      return command.on_ranks(runtime, arguments);
    });
  });
}

int run(const std::vector<std::string>& words) {
  // Errors have their form from the first one on; Runtime says the rank once it is known for sure.
  const comm::Launch launch = comm::find_launch().value_or(comm::Launch{});
  log::set_up(launch.process, launch.processes);
  if (words.empty()) {
    if (!is_first_process()) return after_the_first(ExitCode::config);
    std::cerr << usage();
    return code_of(ExitCode::config);
  }
  const std::string& name = words[0];
  if (name == "--version" || name == "version") {
    std::cout << describe(build_info()) << '\n';
    return 0;
  }
  if (name == "help" || name == "--help" || name == "-h") {
    if (words.size() > 2) {
      if (!is_first_process()) return after_the_first(ExitCode::config);
      std::cerr << fmt::format("switchyard: help takes one command or section, not also '{}'\n", words[2]);
      return code_of(ExitCode::config);
    }
    return help(words.size() > 1 ? words[1] : "");
  }
  for (const Command& command : commands) {
    if (command.name == name) return run_command(command, Arguments(words).subspan(1));
  }
  if (!is_first_process()) return after_the_first(ExitCode::config);
  std::cerr << fmt::format("switchyard: unknown command '{}'\n\n", name) << usage();
  return code_of(ExitCode::config);
}

}  // namespace

// A command whose product is its output has failed if that was lost. A run's product is its folder: it has gone
// on without a reader, and says what else it could not print.
int with_lost_output(int code, Arguments words, std::error_code failure) {
  if (!failure) return code;
  const auto command =
      std::ranges::find_if(commands, [&](const Command& c) { return !words.empty() && c.name == words[0]; });
  const bool makes_folder =
      command != std::end(commands) && command->stops_on_signals && !asks_for_help(words.subspan(1));
  if (makes_folder && is_reader_gone(failure)) return code;
  log::error("DataError: cannot write standard output ({}){}; send it elsewhere", failure.message(),
             makes_folder ? ", while the files of the run are complete" : "");
  return code == 0 ? code_of(ExitCode::data) : code;
}

}  // namespace switchyard::cli

int main(int argc, char** argv) try {
  using namespace switchyard;
  secure_standard_streams();
  report_ends_without_memory();
  StandardOutput output;
  const std::vector<std::string> words(argv + 1, argv + argc);
  const int code = cli::run(words);
  const int last = cli::with_lost_output(code, words, output.finish());
  expect_own_end();
  return last;
} catch (const std::bad_alloc&) {  // before there is anything that could say it better
  switchyard::log::error_at_once("OutOfMemory: out of host memory; free some, or raise the limit on it");
  switchyard::expect_own_end();
  return static_cast<int>(switchyard::ExitCode::library);
}
