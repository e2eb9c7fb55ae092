#include "report/binned_rows.hpp"

#include <algorithm>
#include <utility>

namespace switchyard::report {

BinnedRows::BinnedRows(index_t limit) : limit_(std::max<index_t>(limit, 2)) {}

void BinnedRows::Bin::add(const Bin& other) {
  if (records == 0) first = other.first;
  last = other.last;
  records += other.records;
  x_sum += other.x_sum;
  sums.resize(std::max(sums.size(), other.sums.size()));
  for (std::size_t i = 0; i < other.sums.size(); ++i) sums[i] += other.sums[i];
}

void BinnedRows::add(double x, Span<const double> values) {
  if (bins_.empty() || bins_.back().records == records_per_bin_) {
    if (std::ssize(bins_) == limit_) merge_neighbours();
    // With an odd limit the merged last bin has room left.
    if (bins_.empty() || bins_.back().records == records_per_bin_) bins_.emplace_back();
  }
  bins_.back().add({1, x, x, x, {values.begin(), values.end()}});
}

void BinnedRows::merge_neighbours() {
  for (std::size_t i = 0; i < bins_.size(); i += 2) {
    Bin bin = std::move(bins_[i]);
    if (i + 1 < bins_.size()) bin.add(bins_[i + 1]);
    bins_[i / 2] = std::move(bin);
  }
  bins_.resize((bins_.size() + 1) / 2);
  records_per_bin_ *= 2;
}

std::vector<BinnedRows::Row> BinnedRows::means() const {
  std::size_t columns = 0;
  for (const Bin& bin : bins_) columns = std::max(columns, bin.sums.size());
  std::vector<Row> rows;
  rows.reserve(bins_.size());
  for (const Bin& bin : bins_) {
    Row row{bin.x_sum / static_cast<double>(bin.records), bin.sums, bin.first, bin.last};
    for (double& value : row.values) value /= static_cast<double>(bin.records);
    row.values.resize(columns);
    rows.push_back(std::move(row));
  }
  return rows;
}

}  // namespace switchyard::report
