#include "model/parity.hpp"

#include <limits>

namespace switchyard::model {
namespace {

enum class Router { left_out, counted };

nn::Cost cost(Costs costs, Router router) {
  if (router == Router::left_out) costs.of(Part::router) = {};
  return sum(costs);
}

// Where a linear function with these values at `at` and 2 `at` is `wanted`; nowhere below 1.
double solve(index_t at, index_t once, index_t twice, index_t wanted) {
  const auto slope = static_cast<double>(twice - once) / static_cast<double>(at);
  const double solution = static_cast<double>(at) + static_cast<double>(wanted - once) / slope;
  return solution >= 1 ? solution : std::numeric_limits<double>::quiet_NaN();
}

// With twice of one size.
Costs twice(ModelOptions options, const Task& task, std::int64_t moe::Options::*size) {
  options.moe.*size *= 2;
  return layer_costs(outline(options, task));
}

}  // namespace

Costs layer_costs(const Outline& outline) {
  const auto find = [&](const auto& is) -> const Branch* {
    for (const Branch& branch : outline.branches) {
      if (is(branch)) return &branch;
    }
    return nullptr;
  };
  const Branch* branch =
      find([](const Branch& b) { return std::holds_alternative<moe::MixtureBranchOptions>(b.body); });
  if (branch == nullptr)
    branch = find([](const Branch& b) { return std::holds_alternative<nn::NetworkModuleOptions>(b.body); });
  Costs costs = outline.costs_of(*branch);
  costs.of(Part::norms) = {};
  return costs;
}

// All costs are linear in each size.
Parity parity(const ModelOptions& options, const Task& task, const Costs& with) {
  const Costs once = layer_costs(outline(options, task));
  const Costs hidden = twice(options, task, &moe::Options::hidden);
  const Costs experts = twice(options, task, &moe::Options::experts);
  const auto for_multiply_adds = [&](Router router) {
    return solve(options.moe.hidden, cost(once, router).multiply_adds, cost(hidden, router).multiply_adds,
                 cost(with, router).multiply_adds);
  };
  const auto for_parameters = [&](Router router) {
    return solve(options.moe.experts, cost(once, router).parameters, cost(experts, router).parameters,
                 cost(with, router).parameters);
  };
  return {for_multiply_adds(Router::left_out), for_multiply_adds(Router::counted),
          for_parameters(Router::left_out), for_parameters(Router::counted)};
}

}  // namespace switchyard::model
