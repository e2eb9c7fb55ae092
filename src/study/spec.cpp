#include "study/spec.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "base/error.hpp"
#include "base/span.hpp"
#include "config/messages.hpp"
#include "study/jobs.hpp"

namespace switchyard::study {
namespace {

constexpr std::string_view arm_prefix = "arm.";

bool is_arm(std::string_view section) { return section.starts_with(arm_prefix); }

void check_section(const Setting& line) {
  if (line.section == "study" || line.section == "quick" || line.section == "all" || is_arm(line.section))
    return;
  throw ConfigError(
      fmt::format("unknown section {} ({}); the sections of a study are [study], [quick], [all] and [arm.NAME]",
                  config::in_quotes(line.section), line.where));
}

// Part of a path and of a table.
void check_arm_name(const std::string& name, const std::string& where) {
  const bool plain = std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
  });
  if (name.empty() || !plain) {
    throw ConfigError(
        fmt::format("the arm {} ({}) has a name that is no folder's; use letters, digits, _ and -",
                    config::in_quotes(name), where));
  }
}

// A key of a run, as it stands in [all], [quick] or an arm.
Setting run_key(const Setting& setting) {
  const config::Role role = run::schema().find(setting.key, setting.where).field->role;
  if (role == config::Role::run || role == config::Role::seed) {
    throw ConfigError(fmt::format(
        "{} is set by the study itself ({}); remove the line, and see study.dir and study.first_seed",
        setting.key, setting.where));
  }
  return {.section = {}, .key = setting.key, .value = setting.value, .where = setting.where};
}

Setting run_key_of_all(const Setting& setting) {
  if (values_of(setting).size() > 1) {
    throw ConfigError(fmt::format("{} = {} has several values for all arms ({}); put a grid into the arms",
                                  setting.key, config::in_quotes(setting.value), setting.where));
  }
  return run_key(setting);
}

// In the place of an earlier line of [all].
void replace_of_all(Spec& spec, const Setting& setting) {
  std::erase_if(spec.all, [&](const Setting& earlier) { return earlier.key == setting.key; });
  spec.all.push_back(run_key_of_all(setting));
}

// The keys of [quick] in the place of those of [study] and [all].
void apply_quick(Spec& spec, const std::vector<Setting>& settings) {
  for (const Setting& setting : settings) {
    if (setting.section != "quick" || setting.key.empty()) continue;
    if (setting.key.find('.') == setting.key.npos) {
      schema().set(spec.options, "study." + setting.key, setting.value, setting.where);
      continue;
    }
    replace_of_all(spec, setting);
  }
}

void add_to_arm(Arm& arm, const Setting& setting) {
  if (setting.key == "config") {
    arm.config_file = setting.value;
  } else if (setting.key == "title") {
    arm.title = setting.value;
  } else if (setting.key == "after") {
    arm.after = config::words_of(setting.value);
  } else if (setting.key.find('.') == setting.key.npos) {
    throw ConfigError(
        fmt::format("unknown key {} of an arm ({}); an arm has config, title, after and keys of a run, written "
                    "section.key",
                    config::in_quotes(setting.key), setting.where));
  } else {
    arm.keys.push_back(run_key(setting));
  }
}

// All sections but [quick].
void add(Spec& spec, const Setting& setting) {
  check_section(setting);
  if (setting.section == "study" && !setting.key.empty()) {
    schema().set(spec.options, setting.name(), setting.value, setting.where);
  } else if (setting.section == "all" && !setting.key.empty()) {
    spec.all.push_back(run_key_of_all(setting));
  } else if (is_arm(setting.section)) {
    const std::string name = setting.section.substr(arm_prefix.size());
    if (find_arm(spec, name) < 0) {
      check_arm_name(name, setting.where);
      Arm& arm = spec.arms.emplace_back();
      arm.name = arm.title = name;
    }
    if (!setting.key.empty()) add_to_arm(spec.arms[find_arm(spec, name)], setting);
  }
}

void require_arm(const Spec& spec, const std::string& name, const std::string& key) {
  if (find_arm(spec, name) >= 0) return;
  std::vector<std::string_view> names;
  for (const Arm& arm : spec.arms) names.push_back(arm.name);
  throw ConfigError(fmt::format("{} = {} names no arm ({}); the arms are {}", key, config::in_quotes(name),
                                spec.file, config::one_of(names)));
}

// study.arms: the others are as if the file did not have them. What an arm comes after has to be there.
void keep_chosen_arms(Spec& spec) {
  const std::vector<std::string>& chosen = spec.options.arms;
  if (chosen.empty()) return;
  for (const std::string& name : chosen) require_arm(spec, name, "study.arms");
  const auto is_chosen = [&](const std::string& name) {
    return std::ranges::find(chosen, name) != chosen.end();
  };
  for (const Arm& arm : spec.arms) {
    if (!is_chosen(arm.name)) continue;
    for (const std::string& needed : arm.after) {
      if (is_chosen(needed)) continue;
      throw ConfigError(
          fmt::format("study.arms has {} and not {} (it comes after that arm and may need its runs); add it",
                      arm.name, needed));
    }
  }
  std::vector<std::string> read_later;
  for (const Arm& arm : spec.arms) {
    if (!is_chosen(arm.name)) read_later.insert(read_later.end(), arm.after.begin(), arm.after.end());
  }
  for (Arm& arm : spec.arms) arm.read_later = std::ranges::find(read_later, arm.name) != read_later.end();
  std::erase_if(spec.arms, [&](const Arm& arm) { return !is_chosen(arm.name); });
  if (find_arm(spec, spec.options.baseline) < 0) spec.options.baseline.clear();
}

void check(const Spec& spec) {
  if (spec.options.dir.empty()) {
    throw ConfigError(fmt::format(
        "study.dir is missing ({}); give the study's folder, such as runs/studies/first", spec.file));
  }
  if (spec.arms.empty())
    throw ConfigError(fmt::format("the study has no arms ({}); add a section [arm.NAME]", spec.file));
  if (spec.options.metrics.empty())
    throw ConfigError(fmt::format("study.metrics is empty ({}); try test.error", spec.file));
  for (const Arm& arm : spec.arms) {
    if (arm.config_file.empty()) {
      throw ConfigError(
          fmt::format("the arm {} has no configuration ({}); add config = FILE.ini, relative to the study file",
                      arm.name, spec.file));
    }
    for (const std::string& name : arm.after) require_arm(spec, name, fmt::format("arm.{}.after", arm.name));
  }
  if (!spec.options.baseline.empty()) require_arm(spec, spec.options.baseline, "study.baseline");
}

}  // namespace

Spec read_spec(const std::string& file, const std::vector<Setting>& settings,
               const std::vector<Setting>& overrides, const ReadConfig& read_config) {
  Spec spec{.file = file, .options = {}, .all = {}, .arms = {}, .published = {}};
  for (const Setting& setting : settings) add(spec, setting);
  const auto apply_overrides = [&] {
    for (const Setting& setting : overrides) {
      if (setting.key.starts_with("study.")) {
        schema().set(spec.options, setting.key, setting.value, setting.where);
      } else {
        replace_of_all(spec, setting);
      }
    }
  };
  apply_overrides();  // may ask for quick
  Spec quick = spec;
  apply_quick(quick, settings);  // its mistakes are found even where it is not used
  if (spec.options.quick) {
    spec = quick;
    apply_overrides();
  }
  check(spec);
  keep_chosen_arms(spec);
  (void)levels(spec);
  const std::filesystem::path folder = std::filesystem::path(file).parent_path();
  for (Arm& arm : spec.arms) {
    arm.config_file = (folder / arm.config_file).lexically_normal().string();
    arm.base = read_config(arm.config_file);
  }
  if (!spec.options.published.empty())
    spec.published = read_published((folder / spec.options.published).lexically_normal().string());
  return spec;
}

Vector<int> levels(const Spec& spec) {
  Vector<int> level(spec.arms.size(), 0);
  // A chain without a cycle has at most as many links as there are arms.
  for (std::size_t round = 0; round <= spec.arms.size(); ++round) {
    bool changed = false;
    for (std::size_t a = 0; a < spec.arms.size(); ++a) {
      for (const std::string& name : spec.arms[a].after) {
        const int least = level[find_arm(spec, name)] + 1;
        changed = changed || level[a] < least;
        level[a] = std::max(level[a], least);
      }
    }
    if (!changed) return level;
  }
  const auto last = std::max_element(level.begin(), level.end()) - level.begin();
  throw ConfigError(
      fmt::format("the arm {} would never start ({}: it waits for arms that wait for each other); follow its "
                  "`after`, and remove the one that closes the circle",
                  spec.arms[last].name, spec.file));
}

std::vector<int> last_levels(const Spec& spec) {
  const Vector<int> level = levels(spec);
  Vector<int> last = level;
  for (std::size_t a = 0; a < spec.arms.size(); ++a) {
    if (spec.arms[a].read_later) last[a] = std::numeric_limits<int>::max();
  }
  for (std::size_t a = 0; a < spec.arms.size(); ++a) {
    for (const std::string& name : spec.arms[a].after) {
      int& of_other = last[find_arm(spec, name)];
      of_other = std::max(of_other, level[a]);
    }
  }
  return last;
}

int find_arm(const Spec& spec, std::string_view name) {
  const auto found = std::ranges::find(spec.arms, name, &Arm::name);
  return found == spec.arms.end() ? -1 : static_cast<int>(found - spec.arms.begin());
}

}  // namespace switchyard::study
