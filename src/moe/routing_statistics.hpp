// What the router and the experts of a mixture layer did, exact over the global batch or a whole split.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/ids.hpp"
#include "base/span.hpp"

namespace switchyard::moe {

// The kinds of rows that experts are counted against.
struct RowKinds {
  index_t classes = 0;                 // of labels and predictions; 0: rows have none
  index_t groups = 0;                  // that the data say besides classes: clusters, domains; 0: none
  std::string_view group = "cluster";  // what a group is called
  std::string_view row = "sample";     // what a row is
  bool operator==(const RowKinds&) const = default;
  // Rows that are of no kind are counted as of one.
  index_t counted_groups() const { return classes == 0 && groups == 0 ? 1 : groups; }
};

// Of one mixture layer. Sums and integer counts: nothing of size batch x experts. Sums of shards are float64
// and added in shard order, counts are integers, so that the numbers are the same on every layout. The rows
// that a layer routes are the samples of a mixture, and the tokens of a model of text.
class RoutingStatistics {
 public:
  RoutingStatistics() = default;
  RoutingStatistics(index_t experts, const RowKinds& kinds);

  index_t experts() const { return std::ssize(importance); }
  const RowKinds& kinds() const { return kinds_; }
  index_t classes() const { return kinds_.classes; }
  index_t groups() const { return kinds_.groups; }
  void clear();
  // All counts in one array, for one all-reduce, and what of it is where: the first of the experts' loads; and
  // the place in a table of kinds of rows and experts (0: labels, 1: predictions, 2: groups).
  Span<std::int64_t> counts() { return counts_; }
  Span<const std::int64_t> counts() const { return counts_; }
  static constexpr index_t first_load = 3;
  index_t table(index_t which, index_t kind, index_t e) const {
    return first_load + experts() * (1 + which * classes() + kind) + e;
  }
  void add(const RoutingStatistics& other);

  std::int64_t& rows() { return counts_[0]; }
  std::int64_t& sent_rows() { return counts_[1]; }
  // Slots that no expert had a place for (moe.capacity). What is said of choices, loads and weights here counts
  // them.
  std::int64_t& dropped() { return counts_[2]; }
  // Rows for which expert e was chosen (all of a row's slots count).
  std::int64_t& load(index_t e) { return counts_[first_load + e]; }
  // N[class][expert]: the expert with the largest gate weight, against the true label and against its own
  // prediction.
  std::int64_t& by_label(index_t c, index_t e) { return counts_[table(0, c, e)]; }
  std::int64_t& by_prediction(index_t c, index_t e) { return counts_[table(1, c, e)]; }
  // N[group][expert], as by_label; group 0 of rows of no kind.
  std::int64_t& by_group(index_t g, index_t e) { return counts_[table(2, g, e)]; }
  std::int64_t by_group(index_t g, index_t e) const { return counts_[table(2, g, e)]; }
  std::int64_t rows() const { return counts_[0]; }
  std::int64_t sent_rows() const { return counts_[1]; }
  std::int64_t dropped() const { return counts_[2]; }
  std::int64_t load(index_t e) const { return counts_[first_load + e]; }
  std::int64_t by_label(index_t c, index_t e) const { return counts_[table(0, c, e)]; }
  std::int64_t by_prediction(index_t c, index_t e) const { return counts_[table(1, c, e)]; }

  double dropped_share() const;  // of all slots
  // Derived (reference: specialisation, section 1.3). All entropies in bits, 0 log 0 = 0.
  // H_s: mean entropy of a row's softmax over all experts; that of its weights over the chosen ones, 0 for
  // one, H_s for all.
  double sample_entropy() const { return per_row(entropy_sum); }
  double chosen_entropy() const { return per_row(chosen_entropy_sum); }
  double usage_entropy() const;  // H_u: entropy of the usage, each expert's part of all gate weights
  // I(E;Y), Y the chosen expert's prediction, or the true label.
  double mutual_information_predicted() const { return mutual_information(1); }
  double mutual_information_true() const { return mutual_information(0); }
  // Chen et al. 2022, equation 6.1, in nats: the entropy of the groups (or labels) within an expert's samples,
  // weighted by the expert's share. 0: every expert sees one group; ln of the number of groups: routing ignores
  // them.
  double dispatch_entropy() const { return dispatch_entropy(2, groups()); }  // of groups
  double dispatch_entropy_label() const { return dispatch_entropy(0, classes()); }
  double expert_share(index_t e) const;     // share of rows whose largest weight is e's
  Vector<double> expert_share() const;      // of all experts
  Vector<double> importance_share() const;  // mean gate weight
  bool chooses() const;                     // rows do not go to every expert
  // Chosen for less than 1 row in 1000; where nothing chooses, it has the largest weight for as few.
  bool is_dead(index_t e) const;
  std::vector<index_t> dead_experts() const;  // those
  double largest_share() const;               // the largest of expert_share()
  // Experts with a larger share than least_active_share(): 1%, or half of an even share where there are more
  // than 50 experts.
  index_t active_experts() const;
  double least_active_share() const;
  // One of several experts has more than 90% of the samples, or fewer than half of them are active.
  bool is_collapsed() const;

  bool is_limited = false;  // what experts take, so that slots may be dropped
  double entropy_sum = 0;
  double chosen_entropy_sum = 0;
  Vector<double> importance;  // sum of gate weights per expert

 private:
  // Rows of an expert in a table of so many kinds; in one that has every row.
  std::int64_t in_expert(index_t which, index_t kinds, index_t e) const;
  std::int64_t in_expert(index_t e) const {
    return classes() > 0 ? in_expert(0, classes(), e) : in_expert(2, kinds_.counted_groups(), e);
  }
  double mutual_information(index_t which) const;
  double dispatch_entropy(index_t which, index_t kinds) const;
  double per_row(double sum) const;

  RowKinds kinds_;
  Vector<std::int64_t> counts_ = Vector<std::int64_t>(first_load, 0);
};

}  // namespace switchyard::moe
