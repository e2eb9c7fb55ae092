#include "study/jobs.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <set>

#include "base/error.hpp"
#include "base/hash.hpp"
#include "base/span.hpp"
#include "config/messages.hpp"
#include "run/validate.hpp"

namespace switchyard::study {
namespace {

// A study of more runs than this is a mistake.
constexpr std::size_t most_combinations = 10'000;

// "0003": a seed in the names of folders.
std::string seed_text(std::int64_t seed) { return fmt::format("{:04}", seed); }

std::string replaced(std::string text, std::string_view mark, std::string_view by) {
  for (std::size_t at = text.find(mark); at != text.npos; at = text.find(mark, at + by.size()))
    text.replace(at, mark.size(), by);
  return text;
}

// [all] first, then the arm's, so that the arm's win.
std::vector<Setting> keys_of_run(const Spec& spec, const Arm& arm, const Values& values) {
  std::vector<Setting> keys = spec.all;
  for (Setting setting : arm.keys) {
    const auto chosen = std::ranges::find(values, setting.key, &Values::value_type::first);
    if (chosen != values.end()) setting.value = chosen->second;
    keys.push_back(setting);
  }
  return keys;
}

// Limits of one run make no sense in a study: it would end with its first run.
void check_for_study(const run::Config& config, const Spec& spec, const Arm& arm) {
  if (config.run.max_minutes == 0) return;
  throw ConfigError(fmt::format(
      "run.max_minutes = {} in the arm {} ({}: it would stop the study at its first long run); set it "
      "to 0 in [all], and stop a study with SIGUSR1",
      config.run.max_minutes, arm.name, spec.file));
}

// Counted before they are made.
void expect_countable(const Arm& arm) {
  std::size_t count = 1;
  for (const Setting& setting : arm.keys) {
    count *= values_of(setting).size();
    if (count <= most_combinations) continue;
    throw ConfigError(
        fmt::format("the arm {} has more than {} combinations of values (its lists multiply, {}); give fewer "
                    "values, or several studies",
                    arm.name, most_combinations, setting.where));
  }
}

std::string selection_folder(const Arm& arm, const Values& values, std::int64_t seed) {
  return fmt::format("selection/{}/{}/seed-{}", arm.name, label_of(values), seed_text(seed));
}

// With what follows from the job's own place in the study.
Job completed(const Spec& spec, Job job) {
  const Arm& of = spec.arms[job.arm];
  const bool is_selection = job.purpose == Purpose::selection;
  job.folder = is_selection ? selection_folder(of, job.values, job.seed) : result_folder(of, job.seed);
  const std::string path = (std::filesystem::path(spec.options.dir) / job.folder).string();
  job.config = run_config(spec, of, job.values, job.seed, path);
  if (is_selection && spec.options.selection_epochs > 0)
    job.config.train.epochs = spec.options.selection_epochs;
  return job;
}

}  // namespace

std::vector<std::string> values_of(const Setting& setting) {
  if (setting.key == "moe.partition")
    return {std::string(config::trimmed(setting.value))};  // its own | stand in it
  std::vector<std::string> values;
  std::set<std::string, std::less<>> seen;
  std::string_view rest = setting.value;
  while (true) {
    const std::size_t end = std::min(rest.find('|'), rest.size());
    const std::string value(config::trimmed(rest.substr(0, end)));
    const bool is_grid = !values.empty() || end < rest.size();
    if ((value.empty() && is_grid) || !seen.insert(value).second) {
      throw ConfigError(fmt::format("{} = {} has {} ({}); separate different values by |", setting.key,
                                    config::in_quotes(setting.value),
                                    value.empty() ? "an empty value" : "a value twice", setting.where));
    }
    values.push_back(value);
    if (end == rest.size()) return values;
    rest.remove_prefix(end + 1);
  }
}

std::vector<Values> combinations(const Arm& arm) {
  expect_countable(arm);
  std::vector<Values> all = {{}};
  for (const Setting& setting : arm.keys) {
    const std::vector<std::string> values = values_of(setting);
    if (values.size() == 1) continue;
    std::vector<Values> longer;
    for (const Values& begun : all) {
      for (const std::string& value : values) {
        longer.push_back(begun);
        longer.back().emplace_back(setting.key, value);
      }
    }
    all = std::move(longer);
  }
  return all;
}

std::string text_of(const Values& values) {
  std::string text;
  for (const auto& [key, value] : values) text += fmt::format("{}{}={}", text.empty() ? "" : " ", key, value);
  return text;
}

std::string label_of(const Values& values) {
  constexpr std::size_t longest = 100;  // file systems allow 255
  const std::string text = text_of(values);
  std::string label;
  bool exact = text.size() <= longest;
  for (const char c : text.substr(0, longest)) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '=' ||
                       c == '.' || c == '-' || c == '_' || c == '+';
    exact = exact && (plain || c == ' ');
    label += plain ? c : c == ' ' ? ',' : '_';
  }
  return exact ? label : fmt::format("{}-{:016x}", label, fnv1a(text));
}

run::Config run_config(const Spec& spec, const Arm& arm, const Values& values, std::int64_t seed,
                       const std::string& folder) {
  run::Config config = arm.base;
  for (const Setting& setting : keys_of_run(spec, arm, values)) {
    const std::string text =
        replaced(replaced(setting.value, "{seed}", seed_text(seed)), "{study}", spec.options.dir);
    run::schema().set(config, setting.key, text, setting.where);
  }
  config.run.dir = folder;
  config.run.seed = static_cast<std::uint64_t>(seed);
  config.run.resume = run::ResumeMode::automatic;
  try {
    run::validate(config);
  } catch (const ConfigError& error) {
    throw ConfigError(fmt::format("the arm {}{}{} of {} cannot run: {}", arm.name,
                                  values.empty() ? "" : " with ", text_of(values), spec.file, error.what()));
  }
  check_for_study(config, spec, arm);
  return config;
}

std::string result_folder(const Arm& arm, std::int64_t seed) {
  return fmt::format("runs/{}/seed-{}", arm.name, seed_text(seed));
}

std::vector<Job> selection_jobs(const Spec& spec, std::size_t arm) {
  std::vector<Job> jobs;
  const std::vector<Values> grid = combinations(spec.arms[arm]);
  if (grid.size() == 1) return jobs;
  for (std::size_t c = 0; c < grid.size(); ++c) {
    for (std::int64_t i = 0; i < spec.options.selection_seeds; ++i)
      jobs.push_back(completed(spec, {.arm = arm,
                                      .combination = c,
                                      .values = grid[c],
                                      .seed = spec.options.first_seed + i,
                                      .purpose = Purpose::selection}));
  }
  return jobs;
}

std::vector<Job> result_jobs(const Spec& spec, std::size_t arm, std::size_t combination) {
  std::vector<Job> jobs;
  const Values values = combinations(spec.arms[arm])[combination];
  for (std::int64_t i = 0; i < spec.options.seeds; ++i)
    jobs.push_back(completed(
        spec, {.arm = arm, .combination = combination, .values = values, .seed = spec.options.first_seed + i}));
  return jobs;
}

std::string same_selection_folder(const Spec& spec, const Job& result) {
  const bool selects =
      !result.values.empty() && result.seed - spec.options.first_seed < spec.options.selection_seeds;
  if (!selects || spec.options.selection_epochs > 0) return {};
  return selection_folder(spec.arms[result.arm], result.values, result.seed);
}

std::vector<std::vector<std::size_t>> assign_round_robin(const std::vector<Job>& jobs, int groups) {
  Vector<std::vector<std::size_t>> assigned(groups);
  for (std::size_t i = 0; i < jobs.size(); ++i) assigned[i % assigned.size()].push_back(i);
  for (std::vector<std::size_t>& list : assigned)
    std::ranges::stable_sort(list, {}, [&](std::size_t i) { return jobs[i].seed; });
  return assigned;
}

}  // namespace switchyard::study
