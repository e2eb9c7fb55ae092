#include "study/metric_path.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <vector>

#include "base/error.hpp"
#include "config/messages.hpp"
#include "run/summary.hpp"

namespace switchyard::study {
namespace {

constexpr std::string_view accuracy = ".accuracy_percent";

std::optional<double> number_at(const nlohmann::json& summary, std::string_view path) {
  const nlohmann::json* at = &summary;
  while (true) {
    const std::size_t dot = path.find('.');
    const auto member = at->is_object() ? at->find(std::string(path.substr(0, dot))) : at->end();
    if (!at->is_object() || member == at->end()) return std::nullopt;
    at = &*member;
    if (dot == path.npos) break;
    path.remove_prefix(dot + 1);
  }
  return at->is_number() ? std::optional(at->get<double>()) : std::nullopt;
}

void add_paths(const nlohmann::json& value, const std::string& path, std::vector<std::string>& paths) {
  if (value.is_number()) paths.push_back(path);
  if (!value.is_object()) return;
  for (const auto& [key, member] : value.items())
    add_paths(member, path.empty() ? key : fmt::format("{}.{}", path, key), paths);
}

// With every part that a summary can have.
nlohmann::json full_summary() {
  moe::Statistics statistics({{"", moe::RoutingStatistics(2, {2, 2})}});
  statistics.samples() = 1;
  run::Summary summary;
  summary.validation = &statistics;
  summary.test = &statistics;
  summary.training = &statistics;
  summary.best = run::BestEvaluation{.score = {"error"}, .test = &statistics};
  return summary_object(summary, {});
}

}  // namespace

std::optional<double> metric(const nlohmann::json& summary, std::string_view path) {
  if (const auto value = number_at(summary, path)) return value;
  if (!path.ends_with(accuracy)) return std::nullopt;
  const auto error = number_at(summary, std::string(path.substr(0, path.size() - accuracy.size())) + ".error");
  return error ? std::optional(100 * (1 - *error)) : std::nullopt;
}

void require_metric(std::string_view path, std::string_view key, std::string_view where) {
  const nlohmann::json summary = full_summary();
  if (metric(summary, path)) return;
  std::vector<std::string> paths;
  add_paths(summary, {}, paths);
  const std::vector<std::string_view> candidates(paths.begin(), paths.end());
  throw ConfigError(fmt::format("{} = {} is no number of summary.json ({}); did you mean '{}'? there are {}",
                                key, config::in_quotes(path), where, config::nearest(path, candidates),
                                config::one_of(candidates)));
}

}  // namespace switchyard::study
