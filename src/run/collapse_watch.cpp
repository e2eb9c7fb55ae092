#include "run/collapse_watch.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "console/result_text.hpp"

namespace switchyard::run {

std::string CollapseWatch::advice() const {
  if (frozen_.gate) return "it is frozen, so start from another one (init.from)";
  if (importance_) return console::importance_advice(*importance_);
  return "try fewer experts (moe.experts) or another seed (run.seed)";
}

std::string CollapseWatch::observe(const moe::GateStatistics& statistics) {
  const bool collapsed = statistics.is_collapsed();
  if (std::exchange(collapsed_, collapsed) || !collapsed) return {};
  const std::vector<double> share = statistics.expert_share();
  const index_t active = statistics.active_experts();
  return fmt::format(
      "warning: expert {} takes {:.0f}% of the samples, {} of {} experts {} above {:.2g}% (a "
      "collapse); {}, or look at class_by_expert in metrics.jsonl",
      std::ranges::max_element(share) - share.begin(), 100 * statistics.largest_share(), active,
      statistics.experts(), active == 1 ? "is" : "are", 100 * statistics.least_active_share(), advice());
}

}  // namespace switchyard::run
