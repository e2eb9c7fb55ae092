#include "ops/cuda/product_plans.hpp"

#include <fmt/format.h>

#include "ops/cuda/product_probe.hpp"

namespace switchyard::ops::cuda {
namespace {

// Rows (with A transposed: terms) of the product that the library chooses for: a tile's or two's worth for
// every multiprocessor, whatever a step's product then has.
constexpr index_t reference_size = 1024;

}  // namespace

ProductPlans& ProductPlans::of_this_thread() {
  static thread_local ProductPlans plans;
  return plans;
}

ProductPlan& ProductPlans::add(ProductPlan plan) {
  plans_.push_back(std::move(plan));
  return *plan_of_.emplace(plans_.back().key, &plans_.back()).first->second;
}

ProductPlan& ProductPlans::plan(device::Context& context, const ProductKey& key) {
  if (const auto found = plan_of_.find(key); found != plan_of_.end()) [[likely]]
    return *found->second;
  ProductPlan chosen(key);
  const device::Counters before = context.counters();
  choose(context, chosen);
  context.counters() = before;
  return add(std::move(chosen));
}

void ProductPlans::choose(device::Context& context, ProductPlan& plan) {
  // The library looks at shapes and at what is declared of addresses, not at memory.
  const Product example{.shape = example_shape(plan.key, reference_size), .arithmetic = plan.key.arithmetic};
  const std::vector<Algorithm> candidates = plan.descriptors.candidates(handle(), example);
  if (candidates.empty()) {
    plan.why = "the library offers no algorithm without workspace";
    return;
  }
  ProductProbe probe(context, plan.key);
  for (const Algorithm& candidate : candidates) {
    const std::string objection = probe.objection(handle(), plan.descriptors, candidate);
    if (objection.empty()) {
      plan.by_library = true;
      plan.algorithm = candidate;
      return;
    }
    plan.why += fmt::format("{}not {} ({})", plan.why.empty() ? "" : ", ", describe(candidate), objection);
  }
}

}  // namespace switchyard::ops::cuda
