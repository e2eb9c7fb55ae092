#include "support/row_kernels/run.hpp"

#include "device/launch.hpp"
#include "support/row_kernels/row_kernels.hpp"

namespace switchyard::device::test {

void square_plus_index(Context& context, index_t count, const float* x, float* out) {
  for_each(context, count, SquarePlusIndex{x, out});
}

void sums_through_scratch(Context& context, tensor::ConstMatrix in, float* sums, double* double_sums,
                          float* maxima) {
  for_each_row(context, in.rows, SumsThroughScratch{in, sums, double_sums, maxima});
}

void row_maxima(Context& context, tensor::ConstMatrix in, float* maxima, index_t scratch_bytes) {
  for_each_row(context, in.rows, RowMaxima{in, maxima, scratch_bytes});
}

void normalise_and_reverse(Context& context, tensor::Matrix x, index_t scratch_bytes) {
  for_each_row(context, x.rows, NormaliseAndReverse{x, scratch_bytes});
}

}  // namespace switchyard::device::test
