#include "study/metric_path.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>
#include <vector>

#include "base/error.hpp"
#include "config/messages.hpp"
#include "run/summary.hpp"

namespace switchyard::study {
namespace {

constexpr std::string_view accuracy = ".accuracy_percent";

// The member of an object, or of an array of objects the element with that number; null where there is none.
const nlohmann::json* part_of(const nlohmann::json& value, std::string_view part) {
  if (value.is_object()) {
    const auto member = value.find(std::string(part));
    return member == value.end() ? nullptr : &*member;
  }
  std::size_t number = 0;
  const auto parsed = std::from_chars(part.begin(), part.end(), number);
  if (!value.is_array() || parsed.ec != std::errc() || parsed.ptr != part.end()) return nullptr;
  return number < value.size() && value[number].is_object() ? &value[number] : nullptr;
}

constexpr index_t of_numbers = -1;  // in place of a number of inner layers

std::optional<double> number_at(const nlohmann::json& summary, std::string_view path) {
  const nlohmann::json* at = &summary;
  while (true) {
    const std::size_t dot = path.find('.');
    at = part_of(*at, path.substr(0, dot));
    if (at == nullptr) return std::nullopt;
    if (dot == path.npos) break;
    path.remove_prefix(dot + 1);
  }
  return at->is_number() ? std::optional(at->get<double>()) : std::nullopt;
}

// Of layers, which are alike, those of the first.
void add_paths(const nlohmann::json& value, const std::string& path, std::vector<std::string>& paths) {
  if (value.is_number()) paths.push_back(path);
  if (value.is_array() && !value.empty() && value[0].is_object()) add_paths(value[0], path + ".0", paths);
  if (!value.is_object()) return;
  for (const auto& [key, member] : value.items())
    add_paths(member, path.empty() ? key : fmt::format("{}.{}", path, key), paths);
}

// With every part that a summary of such a model can have: of so many inner layers, or of a mixture that learns
// real numbers.
nlohmann::json full_summary(index_t layers) {
  std::vector<moe::Statistics::Layer> all = {{"", moe::RoutingStatistics(2, {2, 2})}};
  if (layers == of_numbers) all = {{"", moe::RoutingStatistics(2, {.groups = 2})}};
  if (layers > 0)
    all.assign(as_size(layers), {"of several", moe::RoutingStatistics(2, {0, 2, "domain", "token"})});
  moe::Statistics statistics(std::move(all));
  statistics.samples() = 1;
  if (layers == of_numbers) statistics.targets.units = {1.0};
  run::Summary summary;
  summary.validation = &statistics;
  summary.test = &statistics;
  if (layers <= 0) summary.training = &statistics;
  summary.best = run::BestEvaluation{.score = {layers > 0             ? "loss"
                                               : layers == of_numbers ? "mean_squared_error"
                                                                      : "error"},
                                     .test = &statistics};
  return summary_object(summary, {});
}

}  // namespace

std::optional<double> metric(const nlohmann::json& summary, std::string_view path) {
  if (const auto value = number_at(summary, path)) return value;
  if (!path.ends_with(accuracy)) return std::nullopt;
  const auto error = number_at(summary, std::string(path.substr(0, path.size() - accuracy.size())) + ".error");
  return error ? std::optional(100 * (1 - *error)) : std::nullopt;
}

index_t layers_of(const run::Config& config) {
  return model::kind_of(config.model.loss).of_numbers ? of_numbers : model::inner_layers(config.model);
}

void require_metric(std::string_view path, std::string_view key, std::string_view where,
                    const std::set<index_t>& layers) {
  std::vector<std::string> paths;
  for (const index_t count : layers) {
    const nlohmann::json summary = full_summary(count);
    if (metric(summary, path)) return;
    add_paths(summary, {}, paths);
  }
  std::ranges::sort(paths);
  paths.erase(std::unique(paths.begin(), paths.end()), paths.end());
  const std::vector<std::string_view> candidates(paths.begin(), paths.end());
  throw ConfigError(fmt::format("{} = {} is no number of summary.json ({}); did you mean '{}'? there are {}",
                                key, config::in_quotes(path), where, config::nearest(path, candidates),
                                config::one_of(candidates)));
}

}  // namespace switchyard::study
