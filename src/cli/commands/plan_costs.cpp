#include "cli/commands/plan_costs.hpp"

#include <fmt/format.h>

#include <array>
#include <cmath>
#include <filesystem>
#include <ostream>

#include "base/error.hpp"
#include "cli/options.hpp"
#include "console/terminal.hpp"

namespace switchyard::cli {
namespace {

constexpr double float_bytes = sizeof(float);
constexpr std::array<std::string_view, as_size(model::Part::count)> part_texts = {
    "embedding, logits", "norms",          "attention",    "feed-forward", "router",
    "experts",           "head and merge", "shared expert"};

// Two operations for each multiply-add.
index_t flops(index_t multiply_adds) { return 2 * multiply_adds; }

void print_cost(std::ostream& out, std::string_view name, const nn::Cost& cost) {
  out << fmt::format("  {:<20} {:>16} {:>16} {:>16} {:>16}\n", name, console::grouped(cost.parameters),
                     console::grouped(cost.active_parameters), console::grouped(flops(cost.multiply_adds)),
                     console::grouped(flops(cost.training_multiply_adds)));
}

// Of a token: each of its sub-tokens is a row.
moe::Traffic::Direction of_token(moe::Traffic::Direction of_row, const model::Outline& outline) {
  const auto rows = static_cast<double>(outline.sub_heads);
  return {rows * of_row.rows, rows * of_row.floats};
}

void print_traffic(std::ostream& out, const model::Outline& outline, const moe::Placement& placement) {
  const moe::LayerOptions& layer = outline.layers.front();
  const moe::Traffic most = traffic_of_all_slots(layer), here = traffic(layer, placement);
  out << fmt::format("a token exchanges in a mixture layer: rows, and their bytes\n  {:<20} {:>33} {:>33}\n",
                     "", "every expert elsewhere",
                     fmt::format("{} rank(s), even load", placement.rank_count()));
  const auto print = [&](std::string_view name, moe::Traffic::Direction moe::Traffic::*direction) {
    const auto [most_rows, most_floats] = of_token(most.*direction, outline);
    const auto [rows, floats] = of_token(here.*direction, outline);
    out << fmt::format("  {:<20} {:>16.4g} {:>16.0f} {:>16.4g} {:>16.0f}\n", name, most_rows,
                       most_floats * float_bytes, rows, floats * float_bytes);
  };
  print("dispatch", &moe::Traffic::dispatch);
  print("combine", &moe::Traffic::combine);
  print("combine, backward", &moe::Traffic::combine_backward);
  print("dispatch, backward", &moe::Traffic::dispatch_backward);
  out << '\n';
}

// One of two models that are compared.
struct Compared {
  std::string name;
  model::ModelOptions options;
  model::Task task;
  model::Outline outline;
};

// The data do not say how long its windows are.
Compared compared(const ConfigurationFile& file, model::Task task) {
  const model::ModelOptions options = run::model_options(file.config);
  task.window = run::data_options(file.config).window;
  return {std::filesystem::path(file.path).stem().string(), options, task, model::outline(options, task)};
}

// A column for each model, and the first by the second.
struct Comparison {
  std::ostream& out;

  void head(std::string_view title, const Compared& first, const Compared& second) const {
    out << fmt::format("{:<34} {:>20} {:>20} {:>9}\n", title, first.name, second.name, "ratio");
  }
  void line(std::string_view name, double first, double second) const {
    const auto text = [](double value) {
      return value == std::floor(value) ? console::grouped(static_cast<index_t>(value))
                                        : fmt::format("{:.4g}", value);
    };
    out << fmt::format("  {:<32} {:>20} {:>20} {:>9}\n", name, text(first), text(second),
                       second == 0 ? "-" : fmt::format("{:.4f}", first / second));
  }
  void line(std::string_view name, index_t first, index_t second) const {
    line(name, static_cast<double>(first), static_cast<double>(second));
  }
};

void compare(const Comparison& to, const nn::Cost& first, const nn::Cost& second) {
  to.line("parameters", first.parameters, second.parameters);
  to.line("active parameters", first.active_parameters, second.active_parameters);
  to.line("FLOP of a token, forward", flops(first.multiply_adds), flops(second.multiply_adds));
  to.line("FLOP of a token, training", flops(first.training_multiply_adds),
          flops(second.training_multiply_adds));
}

moe::Traffic most_traffic(const model::Outline& outline) {
  return outline.layers.empty() ? moe::Traffic() : traffic_of_all_slots(outline.layers.front());
}

void compare_traffic(const Comparison& to, const model::Outline& first, const model::Outline& second) {
  const moe::Traffic one = most_traffic(first), other = most_traffic(second);
  const auto dispatched = of_token(one.dispatch, first), dispatched_of_other = of_token(other.dispatch, second);
  const auto all = of_token(one.all(), first), all_of_other = of_token(other.all(), second);
  to.line("rows dispatched", dispatched.rows, dispatched_of_other.rows);
  to.line("bytes dispatched", dispatched.floats * float_bytes, dispatched_of_other.floats * float_bytes);
  to.line("bytes of all four ways", all.floats * float_bytes, all_of_other.floats * float_bytes);
}

nn::Cost without_router(model::Costs costs) {
  costs.of(model::Part::router) = {};
  return sum(costs);
}

// "41.3"
std::string size_text(double size) { return std::isfinite(size) ? fmt::format("{:.1f}", size) : "none"; }

void print_parity(std::ostream& out, const Compared& first, const Compared& second, const model::Costs& with) {
  const model::Parity parity = model::parity(first.options, first.task, with);
  out << fmt::format("as in the layer of {}, each size alone:{:>29} {:>20}\n", second.name, "without routers",
                     "with routers");
  const auto print = [&](std::string_view name, double without_routers, double with_routers) {
    out << fmt::format("  {:<32} {:>20} {:>20}\n", name, size_text(without_routers), size_text(with_routers));
  };
  print("moe.hidden for as many FLOP", parity.hidden, parity.hidden_with_router);
  print("moe.experts for as many parameters", parity.experts, parity.experts_with_router);
}

}  // namespace

void print_costs(std::ostream& out, const model::Outline& outline, const moe::Placement& placement) {
  const model::Costs costs = outline.costs();
  out << fmt::format("{:<22} {:>16} {:>16} {:>16} {:>16}\n", "a token costs", "parameters", "active",
                     "FLOP forward", "FLOP training");
  for (std::size_t part = 0; part < costs.size(); ++part) {
    if (costs[part].parameters > 0) print_cost(out, part_texts[part], costs[part]);
  }
  print_cost(out, "the model", sum(costs));
  if (!outline.layers.empty()) print_cost(out, "a mixture layer", sum(model::layer_costs(outline)));
  out << '\n';
  if (!outline.layers.empty()) print_traffic(out, outline, placement);
}

void print_match(std::ostream& out, const ConfigurationFile& own, const std::string& other,
                 const model::Task& task) {
  CommandLine line;
  line.positionals = {other};
  const run::Config other_config = parse_run_options(line);
  for (const auto& [path, config] : {own, {other, other_config}}) {
    if (!model::reads_tokens(config.model.family)) {
      throw ConfigError(fmt::format(
          "--match={} (model.family of {} is no model of tokens, and no others are compared); give two of the families "
          "tokens and transformer",
          other, path));
    }
  }
  const Compared first = compared(own, task), second = compared({other, other_config}, task);
  const Comparison comparison{out};
  const model::Costs layer = model::layer_costs(first.outline), with = model::layer_costs(second.outline);
  comparison.head("a mixture layer, or what is in its place", first, second);
  compare(comparison, sum(layer), sum(with));
  comparison.line("FLOP forward without the router", flops(without_router(layer).multiply_adds),
                  flops(without_router(with).multiply_adds));
  comparison.line("parameters without the router", without_router(layer).parameters,
                  without_router(with).parameters);
  const auto added = [](const model::Costs& costs, index_t nn::Cost::*of) {
    return fmt::format("{:.2f}%", 100.0 * static_cast<double>(costs.of(model::Part::router).*of) /
                                      static_cast<double>(without_router(costs).*of));
  };
  for (const auto& [name, of] : {std::pair("FLOP forward that the router adds", &nn::Cost::multiply_adds),
                                 std::pair("parameters that the router adds", &nn::Cost::parameters)})
    out << fmt::format("  {:<32} {:>20} {:>20}\n", name, added(layer, of), added(with, of));
  compare_traffic(comparison, first.outline, second.outline);
  comparison.head("the model", first, second);
  compare(comparison, first.outline.cost(), second.outline.cost());
  if (first.options.networks.family != model::Family::transformer || first.outline.layers.empty())
    out << fmt::format(
        "no sizes that would make them alike: {} has no mixture layer of a transformer (give the one that has "
        "it first)\n",
        first.name);
  else
    print_parity(out, first, second, with);
  out << '\n';
}

}  // namespace switchyard::cli
