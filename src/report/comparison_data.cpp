#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>

#include "base/error.hpp"
#include "files/regular_file.hpp"
#include "report/comparison.hpp"
#include "report/pages.hpp"

namespace switchyard::report {
namespace {

std::filesystem::path absolute_path(const std::filesystem::path& folder) {
  std::error_code error;
  std::filesystem::path path = std::filesystem::absolute(folder, error).lexically_normal();
  if (path.filename().empty()) path = path.parent_path();
  return path;
}

// Links lead to the run itself: two names of one folder are one run.
std::filesystem::path real_path(const std::filesystem::path& folder) {
  std::error_code error;
  const std::filesystem::path path = std::filesystem::canonical(folder, error);
  return error ? absolute_path(folder) : path;
}

void expect_different(const std::vector<std::filesystem::path>& folders) {
  for (std::size_t i = 0; i < folders.size(); ++i) {
    for (std::size_t earlier = 0; earlier < i; ++earlier) {
      if (real_path(folders[i]) != real_path(folders[earlier])) continue;
      throw ConfigError(
          fmt::format("'{}' and '{}' are one run (report compares different ones); give each run once",
                      folders[earlier].string(), folders[i].string()));
    }
  }
}

bool differ(const std::vector<std::string>& values) {
  return std::ranges::any_of(values, [&](const std::string& value) { return value != values.front(); });
}

std::string text_of(const Json& value) { return value.is_string() ? value.get<std::string>() : value.dump(); }

}  // namespace

std::vector<std::string> telling_names(const std::vector<std::filesystem::path>& folders) {
  std::vector<std::vector<std::string>> parts;
  for (const std::filesystem::path& folder : folders) {
    parts.emplace_back();
    for (const std::filesystem::path& part : absolute_path(folder)) parts.back().push_back(part.string());
  }
  // A part that all have goes, as long as something of each is left.
  const auto all_share = [&](auto part_of) {
    return std::ranges::all_of(
        parts, [&](const auto& names) { return names.size() > 1 && part_of(names) == part_of(parts.front()); });
  };
  while (all_share([](const auto& names) { return names.front(); })) {
    for (auto& names : parts) names.erase(names.begin());
  }
  while (all_share([](const auto& names) { return names.back(); })) {
    for (auto& names : parts) names.pop_back();
  }
  std::vector<std::string> joined;
  for (const auto& names : parts) joined.push_back(fmt::format("{}", fmt::join(names, "/")));
  return joined;
}

Comparison read_comparison(const std::vector<std::filesystem::path>& folders) {
  if (folders.size() > most_compared) {
    throw ConfigError(fmt::format(
        "{} runs are too many to compare (a page shows up to {}); give fewer, or make the page of a study",
        folders.size(), most_compared));
  }
  for (const std::filesystem::path& folder : folders) {
    if (!files::is_there(folder / "study.json")) continue;
    throw ConfigError(fmt::format(
        "'{0}' is a study, and runs alone are compared (its own page compares its arms); try `switchyard "
        "report {0}`, or name runs that it made, below {0}/runs",
        folder.string()));
  }
  for (const std::filesystem::path& folder : folders) expect_run(folder, /*or_study=*/false);
  expect_different(folders);
  Comparison comparison;
  comparison.names = telling_names(folders);
  for (const std::filesystem::path& folder : folders) comparison.runs.push_back(read_run(folder));
  return comparison;
}

std::vector<ComparedText> differing_keys(const Comparison& comparison, const std::vector<std::string>& own) {
  std::vector<ComparedText> differing;
  std::set<std::string> keys;
  for (const RunData& run : comparison.runs) {
    for (const auto& [key, value] : run.settings) keys.insert(key);
  }
  for (const std::string& key : keys) {
    if (std::ranges::find(own, key) != own.end()) continue;
    ComparedText row{key, {}};
    std::vector<std::string> known;
    for (const RunData& run : comparison.runs) {
      row.values.emplace_back(run.setting(key));
      if (!run.settings.empty()) known.push_back(row.values.back());
    }
    if (differ(known)) differing.push_back(std::move(row));
  }
  return differing;
}

std::vector<ComparedText> differing_builds(const Comparison& comparison) {
  std::vector<ComparedText> differing;
  std::vector<std::string> names;
  for (const RunData& run : comparison.runs) {
    const Json& build = member(run.summary, "build");
    if (!build.is_object()) continue;
    for (const auto& [name, value] : build.items()) {
      if (std::ranges::find(names, name) == names.end()) names.push_back(name);
    }
  }
  for (const std::string& name : names) {
    ComparedText row{name, {}};
    std::vector<std::string> known;
    for (const RunData& run : comparison.runs) {
      const Json& build = member(run.summary, "build");
      const Json& value = member(build, name);
      row.values.push_back(value.is_null() ? "" : text_of(value));
      if (build.is_object()) known.push_back(row.values.back());  // a run under way has none yet
    }
    if (differ(known)) differing.push_back(std::move(row));
  }
  return differing;
}

}  // namespace switchyard::report
