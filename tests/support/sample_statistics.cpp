#include "support/sample_statistics.hpp"

#include <numbers>

namespace switchyard::test {

moe::Statistics statistics_of(const std::vector<std::vector<std::int64_t>>& samples_by_class) {
  const auto classes = static_cast<index_t>(samples_by_class.size());
  const auto experts = static_cast<index_t>(samples_by_class.front().size());
  moe::Statistics statistics({{"", moe::RoutingStatistics(experts, {classes})}});
  moe::RoutingStatistics& routing = statistics.routing();
  for (index_t c = 0; c < classes; ++c) {
    for (index_t e = 0; e < experts; ++e) {
      const std::int64_t count = samples_by_class[static_cast<std::size_t>(c)][static_cast<std::size_t>(e)];
      statistics.samples() += count;
      routing.rows() += count;
      routing.load(e) += count;
      routing.importance[static_cast<std::size_t>(e)] += static_cast<double>(count);
      routing.by_label(c, e) = count;
      routing.by_prediction(c, e) = count;
    }
  }
  return statistics;
}

moe::Statistics sample_statistics() {
  moe::Statistics statistics = statistics_of({{400, 0, 0, 0}, {0, 300, 1, 0}, {50, 0, 249, 0}});
  statistics.errors() = 100;
  statistics.routing().sent_rows() = 1234;
  statistics.task_loss_sum = 312.5;
  statistics.likelihood_loss_sum = 250.0;
  statistics.routing().entropy_sum = 210.0;
  statistics.routing().chosen_entropy_sum = 120.0;
  statistics.routing().importance = {430.0, 310.0, 255.0, 5.0};
  return statistics;
}

moe::Statistics text_statistics() {
  const moe::RoutingStatistics empty(3, {.groups = 2, .group = "domain", .row = "token"});
  moe::Statistics statistics({{"blocks/00/mixture", empty}, {"blocks/01/mixture", empty}});
  statistics.samples() = 1000;
  statistics.errors() = 250;
  statistics.likelihood_loss_sum = statistics.task_loss_sum = 500.0 / std::numbers::log2e;
  statistics.names =
      std::make_shared<const moe::Statistics::Names>(moe::Statistics::Names{{}, {"code", "letters"}});
  const std::int64_t tables[2][2][3] = {{{400, 100, 100}, {0, 0, 400}}, {{300, 300, 0}, {200, 200, 0}}};
  for (std::size_t l = 0; l < 2; ++l) {
    moe::RoutingStatistics& routing = statistics.layers[l].routing;
    routing.rows() = 1000;
    routing.entropy_sum = 1250;
    for (index_t domain = 0; domain < 2; ++domain) {
      for (index_t e = 0; e < 3; ++e) {
        const std::int64_t count = tables[l][domain][e];
        routing.by_group(domain, e) = count;
        routing.load(e) += count;
        routing.importance[static_cast<std::size_t>(e)] += static_cast<double>(count);
      }
    }
  }
  return statistics;
}

}  // namespace switchyard::test
