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

std::string CollapseWatch::observe(const moe::Statistics& statistics) {
  std::string found;
  collapsed_.resize(statistics.layers.size());
  for (std::size_t l = 0; l < collapsed_.size(); ++l) {
    const auto& [name, routing] = statistics.layers[l];
    const char collapsed = routing.is_collapsed() ? 1 : 0;
    if (std::exchange(collapsed_[l], collapsed) == 1 || collapsed == 0 || !found.empty()) continue;
    const std::vector<double> share = routing.expert_share();
    const index_t active = routing.active_experts();
    found = fmt::format(
        "warning: expert {}{} takes {:.0f}% of the {}, {} of {} experts {} above {:.2g}% (a collapse); {}, or look "
        "at {}_by_expert in metrics.jsonl",
        std::ranges::max_element(share) - share.begin(), name.empty() ? "" : " of " + name,
        100 * routing.largest_share(), name.empty() ? "samples" : "tokens", active, routing.experts(),
        active == 1 ? "is" : "are", 100 * routing.least_active_share(), advice(),
        routing.classes() > 0 ? "class" : routing.kinds().group);
  }
  return found;
}

}  // namespace switchyard::run
