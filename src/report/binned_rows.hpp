// A long series in bounded memory.
#pragma once

#include <vector>

#include "base/ids.hpp"
#include "base/span.hpp"

namespace switchyard::report {

// Records of a run, averaged in bins of neighbouring records, so that at most `limit` bins remain: each bin
// holds the same number of records (a power of two), the last one perhaps fewer.
class BinnedRows {
 public:
  explicit BinnedRows(index_t limit = 400);

  // Records come in the order of x. A later record may have more columns; earlier ones then had zeros there.
  void add(double x, Span<const double> values);

  struct Row {
    double x = 0;  // mean of its records
    std::vector<double> values;
    double first = 0;  // x of its first record
    double last = 0;
  };
  std::vector<Row> means() const;
  index_t records_per_bin() const { return records_per_bin_; }
  bool empty() const { return bins_.empty(); }

 private:
  struct Bin {
    index_t records = 0;
    double x_sum = 0;
    double first = 0;
    double last = 0;
    std::vector<double> sums;
    void add(const Bin& other);
  };
  void merge_neighbours();

  index_t limit_;
  index_t records_per_bin_ = 1;
  std::vector<Bin> bins_;
};

}  // namespace switchyard::report
