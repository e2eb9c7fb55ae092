#include "ops/cuda/product_plans.hpp"

#include <fmt/format.h>

#include <cstring>

#include "base/error.hpp"
#include "ops/cuda/product_probe.hpp"

namespace switchyard::ops::cuda {
namespace {

// Rows (with A transposed: terms) of the product that the library chooses for: a tile's or two's worth for
// every multiprocessor, whatever a step's product then has.
constexpr index_t reference_size = 1024;

// As it goes from process to process.
struct Choice {
  ProductKey key;
  Algorithm algorithm{};
  std::int64_t by_library = 0;
};
static_assert(std::is_trivially_copyable_v<Choice>);

Choice choice_of(const ProductPlan& plan) { return {plan.key, plan.algorithm, plan.by_library ? 1 : 0}; }

void append(std::vector<std::byte>& bytes, const auto& value) {
  const auto* const first = reinterpret_cast<const std::byte*>(&value);
  bytes.insert(bytes.end(), first, first + sizeof value);
}

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

std::vector<std::byte> ProductPlans::choices() const {
  std::vector<std::byte> bytes;
  append(bytes, std::uint64_t{cublas().get_version()});
  for (const ProductPlan& plan : plans_) append(bytes, choice_of(plan));
  return bytes;
}

void ProductPlans::adopt(Span<const std::byte> choices) {
  std::uint64_t version = 0;
  if (choices.size() < sizeof version || (choices.size() - sizeof version) % sizeof(Choice) != 0)
    throw BlasError(
        fmt::format("cannot take over the choice of product algorithms (it has {} bytes); start all "
                    "ranks with one build of the program",
                    choices.size()));
  std::memcpy(&version, choices.data(), sizeof version);
  if (version != cublas().get_version())
    throw BlasError(fmt::format(
        "ranks have different libraries for products (cublasLt {} here, {} there); let all ranks load one file",
        cublas().get_version(), version));
  for (std::size_t at = sizeof version; at < choices.size(); at += sizeof(Choice)) {
    Choice choice;
    std::memcpy(&choice, choices.data() + at, sizeof choice);
    const auto found = plan_of_.find(choice.key);
    ProductPlan& plan = found != plan_of_.end() ? *found->second : add(ProductPlan(choice.key));
    plan.by_library = choice.by_library != 0;
    plan.algorithm = choice.algorithm;
    plan.why = "as another rank decided";
  }
}

}  // namespace switchyard::ops::cuda
