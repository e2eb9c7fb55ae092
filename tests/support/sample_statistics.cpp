#include "support/sample_statistics.hpp"

namespace switchyard::test {

moe::GateStatistics statistics_of(const std::vector<std::vector<std::int64_t>>& samples_by_class) {
  const auto classes = static_cast<index_t>(samples_by_class.size());
  const auto experts = static_cast<index_t>(samples_by_class.front().size());
  moe::GateStatistics statistics(experts, classes);
  for (index_t c = 0; c < classes; ++c) {
    for (index_t e = 0; e < experts; ++e) {
      const std::int64_t count = samples_by_class[static_cast<std::size_t>(c)][static_cast<std::size_t>(e)];
      statistics.samples() += count;
      statistics.load(e) += count;
      statistics.importance[static_cast<std::size_t>(e)] += static_cast<double>(count);
      statistics.by_label(c, e) = count;
      statistics.by_prediction(c, e) = count;
    }
  }
  return statistics;
}

moe::GateStatistics sample_statistics() {
  moe::GateStatistics statistics = statistics_of({{400, 0, 0, 0}, {0, 300, 1, 0}, {50, 0, 249, 0}});
  statistics.errors() = 100;
  statistics.sent_rows() = 1234;
  statistics.task_loss_sum = 312.5;
  statistics.likelihood_loss_sum = 250.0;
  statistics.entropy_sum = 210.0;
  statistics.chosen_entropy_sum = 120.0;
  statistics.importance = {430.0, 310.0, 255.0, 5.0};
  return statistics;
}

}  // namespace switchyard::test
