// What the gate and the experts did, exact over the global batch or a whole split.
#pragma once

#include <cstdint>
#include <vector>

#include "base/ids.hpp"
#include "base/span.hpp"

namespace switchyard::moe {

// Sums and integer counts: nothing of size batch x experts. Sums of shards are float64 and added in shard
// order, counts are integers, so that the numbers are the same on every layout.
class GateStatistics {
 public:
  GateStatistics() = default;
  // groups: kinds of samples that the data say besides classes (clusters); 0 if none.
  GateStatistics(index_t experts, index_t classes, index_t groups = 0);

  index_t experts() const { return std::ssize(importance); }
  index_t classes() const { return classes_; }
  index_t groups() const { return groups_; }
  void clear();
  // All counts in one array, for one all-reduce.
  Span<std::int64_t> counts() { return counts_; }
  void add(const GateStatistics& other);

  std::int64_t& samples() { return counts_[0]; }
  std::int64_t& errors() { return counts_[1]; }
  std::int64_t& sent_rows() { return counts_[2]; }
  // Samples for which expert e was chosen (all of a sample's slots count).
  std::int64_t& load(index_t e) { return counts_[first_load + e]; }
  // N[class][expert]: the expert with the largest gate weight, against the true label and against its own
  // prediction.
  std::int64_t& by_label(index_t c, index_t e) { return counts_[table(0, c, e)]; }
  std::int64_t& by_prediction(index_t c, index_t e) { return counts_[table(1, c, e)]; }
  // N[group][expert], as by_label.
  std::int64_t& by_group(index_t g, index_t e) { return counts_[table(2, g, e)]; }
  std::int64_t by_group(index_t g, index_t e) const { return counts_[table(2, g, e)]; }
  std::int64_t samples() const { return counts_[0]; }
  std::int64_t errors() const { return counts_[1]; }
  std::int64_t sent_rows() const { return counts_[2]; }
  std::int64_t load(index_t e) const { return counts_[first_load + e]; }
  std::int64_t by_label(index_t c, index_t e) const { return counts_[table(0, c, e)]; }
  std::int64_t by_prediction(index_t c, index_t e) const { return counts_[table(1, c, e)]; }

  // Derived (reference: specialisation, section 1.3). All entropies in bits, 0 log 0 = 0.
  // Share of wrong predictions; mean of the objective that is trained; mean -ln of the probability that the
  // prediction gives the label.
  double error() const { return per_sample(static_cast<double>(errors())); }
  double task_loss() const { return per_sample(task_loss_sum); }
  double likelihood_loss() const { return per_sample(likelihood_loss_sum); }
  // H_s: mean entropy of a sample's softmax over all experts; that of its weights over the chosen ones, 0 for
  // one, H_s for all.
  double sample_entropy() const { return per_sample(entropy_sum); }
  double chosen_entropy() const { return per_sample(chosen_entropy_sum); }
  double usage_entropy() const;  // H_u: entropy of the usage, each expert's part of all gate weights
  // I(E;Y), Y the chosen expert's prediction, or the true label.
  double mutual_information_predicted() const { return mutual_information(1); }
  double mutual_information_true() const { return mutual_information(0); }
  // Chen et al. 2022, equation 6.1, in nats: the entropy of the groups (or labels) within an expert's samples,
  // weighted by the expert's share. 0: every expert sees one group; ln of the number of groups: routing ignores
  // them.
  double dispatch_entropy() const { return dispatch_entropy(2, groups_); }  // of groups
  double dispatch_entropy_label() const { return dispatch_entropy(0, classes_); }
  double expert_share(index_t e) const;       // share of samples whose largest weight is e's
  Vector<double> expert_share() const;        // of all experts
  Vector<double> importance_share() const;    // mean gate weight
  bool is_dead(index_t e) const;              // chosen for less than 1 sample in 1000
  std::vector<index_t> dead_experts() const;  // those
  double largest_share() const;               // the largest of expert_share()
  // Experts with a larger share than least_active_share(): 1%, or half of an even share where there are more
  // than 50 experts.
  index_t active_experts() const;
  double least_active_share() const;
  // One of several experts has more than 90% of the samples, or fewer than half of them are active.
  bool is_collapsed() const;

  double task_loss_sum = 0;
  double likelihood_loss_sum = 0;  // of evaluations; a step does not ask for it
  double entropy_sum = 0;
  double chosen_entropy_sum = 0;
  Vector<double> importance;  // sum of gate weights per expert

 private:
  static constexpr index_t first_load = 3;
  index_t table(index_t which, index_t c, index_t e) const {
    return first_load + experts() * (1 + which * classes_ + c) + e;
  }
  // Samples of an expert in a table of so many kinds.
  std::int64_t in_expert(index_t which, index_t kinds, index_t e) const;
  double mutual_information(index_t which) const;
  double dispatch_entropy(index_t which, index_t kinds) const;
  double per_sample(double sum) const;

  index_t classes_ = 0;
  index_t groups_ = 0;
  Vector<std::int64_t> counts_ = Vector<std::int64_t>(first_load, 0);
};

}  // namespace switchyard::moe
