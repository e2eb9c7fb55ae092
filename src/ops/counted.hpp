// How many multiply-adds products and convolutions did: what a calculated cost is compared with.
#pragma once

#include "base/ids.hpp"

namespace switchyard::ops {

struct MultiplyAdds {
  index_t all = 0;
  index_t of_padding = 0;  // those of rows of zeros that nobody reads (PaddedRows)

  MultiplyAdds operator-(const MultiplyAdds& before) const {
    return {all - before.all, of_padding - before.of_padding};
  }
};
// Of this process since its start, by all its threads: add_multiply_adds() that happened before is in it.
MultiplyAdds counted_multiply_adds();

// What each product and convolution calls, once; from tasks of a pool at the same time.
void add_multiply_adds(index_t count);

// While it lives, `padding` of the `rows` rows that this thread's products are of are padding. Locks nothing;
// the innermost counts.
class PaddedRows {
 public:
  PaddedRows(index_t rows, index_t padding);
  ~PaddedRows();
  PaddedRows(const PaddedRows&) = delete;
  PaddedRows& operator=(const PaddedRows&) = delete;

 private:
  index_t rows_before_, padding_before_;
};

}  // namespace switchyard::ops
