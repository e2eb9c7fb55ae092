#include "ops/moe/pairwise.hpp"

#include "device/launch.hpp"
#include "ops/detail/expect_shape.hpp"
#include "ops/matmul.hpp"
#include "ops/moe/kernels/pairwise.hpp"

namespace switchyard::ops {
namespace {

void expect_norms(const PairwiseRows& rows) {
  SY_EXPECTS(std::ssize(rows.squared_norms) == rows.values.rows, "{} norms of {} rows",
             rows.squared_norms.size(), rows.values.rows);
}

}  // namespace

void squared_norms(device::Context& context, tensor::ConstMatrix x, Span<float> squared_norms) {
  expect_norms({x, squared_norms});
  device::for_each_row(context, x.rows, kernels::SquaredNormOfRow{x, squared_norms.data()});
}

void pairwise_distances(device::Context& context, const PairwiseRows& x, const PairwiseRows& y, index_t self,
                        const PairwiseDistances& result) {
  const auto& [distances, sums] = result;
  expect_norms(x);
  expect_norms(y);
  const index_t rows = x.values.rows;
  detail::expect_shape("distances", distances, rows, y.values.rows);
  detail::expect_shape("y", y.values, y.values.rows, x.values.cols);
  SY_EXPECTS(std::ssize(sums) == rows, "{} sums for {} rows", sums.size(), rows);
  matmul({.m = rows,
          .n = y.values.rows,
          .k = x.values.cols,
          .lda = x.values.stride,
          .ldb = y.values.stride,
          .ldc = distances.stride,
          .transpose_b = Transpose::yes},
         x.values.data, y.values.data, distances.data);
  device::for_each_row(
      context, rows,
      kernels::DistancesOfRow{distances, x.squared_norms.data(), y.squared_norms.data(), self, sums.data()});
}

}  // namespace switchyard::ops
