// A partition of the labels by hand (Krishnamurthy et al. 2023, section 2.5): for training experts, since it
// needs the answer.
#include <fmt/format.h>

#include <algorithm>

#include "base/contract.hpp"
#include "base/error.hpp"
#include "config/require.hpp"
#include "device/transfer.hpp"
#include "moe/routers/partition.hpp"
#include "moe/routers/steps.hpp"
#include "ops/moe/slots.hpp"

namespace switchyard::moe {
namespace {

// The expert of each label. Throws ConfigError unless the partition has the task's classes, all of them.
Vector<std::int32_t> expert_of_label(const Options& moe, index_t classes) {
  const auto groups = parse_partition(moe.partition, moe.experts);
  Vector<std::int32_t> expert(classes, -1);
  for (std::size_t e = 0; e < groups.size(); ++e) {
    for (const std::int32_t label : groups[e]) {
      config::require(label < classes,
                      "moe.partition has label {}, and the data have {} classes (from 0); remove it", label,
                      classes);
      expert[label] = static_cast<std::int32_t>(e);
    }
  }
  const auto missing = std::ranges::find(expert, -1);
  config::require(missing == expert.end(),
                  "moe.partition leaves out label {} of {} (its samples would have no expert); add it",
                  missing - expert.begin(), classes);
  return expert;
}

class LabelRouter final : public Router {
 public:
  explicit LabelRouter(const RouterSetup& setup)
      : Router(setup),
        expert_of_label_(device::make_table<std::int32_t>(setup.network_options.memory,
                                                          expert_of_label(options(), options().classes))) {}

  Routing route(const nn::Pass& pass) override {
    Routing routing = allocate_routing(pass, options());
    const Span<const std::int32_t> labels = pass.batch.labels;
    SY_EXPECTS(labels.size() == routing.experts.size(), "{} labels for {} samples", labels.size(),
               routing.experts.size());
    ops::experts_by_label(pass.context, expert_of_label_.span(), labels, routing.experts);
    ops::weigh_fully(pass.context, routing.weights, routing.log_weights);
    return routing;
  }

 private:
  device::Buffer<std::int32_t> expert_of_label_;
};

void validate(const RouterRequest& request, bool chosen) {
  const Options& moe = request.moe;
  config::require(
      chosen == !moe.partition.empty(),
      "moe.partition = '{}' with model.gate = '{}' (the partition is what a gate by_label:experts reads); set "
      "both, or neither",
      moe.partition, request.gate);
  if (chosen) parse_partition(moe.partition, moe.experts);
}

}  // namespace

RouterKind label_router() {
  return {.end = "by_label",
          .reads_labels = true,
          .slots = 1,
          .choice = "one by its label",
          .validate = validate,
          .resolve = [](const RouterTask& task) -> nn::NetworkShape {
            expert_of_label(task.moe, task.classes);
            return {};
          },
          .describe = [](const Options& moe,
                         const nn::NetworkShape&) { return fmt::format("labels {}", moe.partition); },
          .make = [](const RouterSetup& setup) -> std::unique_ptr<Router> {
            return std::make_unique<LabelRouter>(setup);
          }};
}

}  // namespace switchyard::moe
