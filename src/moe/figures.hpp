// What a model measures of a batch, where kernels write it.
#pragma once

#include <cstdint>

#include "base/span.hpp"

namespace switchyard::moe {

// Arrays in the memory of a context, in the order of the model that fills them, as long as its sum_count() and
// count_count() say. A batch is added to what is there: those of several batches are summed where they lie.
struct BatchFigures {
  Span<double> sums;          // over the rows of all ranks
  Span<std::int64_t> counts;  // of this rank's rows, in the order of Statistics::for_each_counts()
};

}  // namespace switchyard::moe
