#include "ops/moe/pairwise.hpp"

#include <cmath>

#include "device/launch.hpp"
#include "ops/detail/expect_shape.hpp"
#include "ops/product.hpp"

namespace switchyard::ops {
namespace kernels {

struct SquaredNormOfRow {
  tensor::ConstMatrix x;
  float* squared_norms;

  template <class Team>
  SY_HD void operator()(const Team& team, index_t row) const {
    const float* const values = x.row(row);
    const double sum = team.sum(x.cols, [&](index_t i) {
      const double value = values[i];
      return value * value;
    });
    team.once([&] { squared_norms[row] = static_cast<float>(sum); });
  }
};

// A row of products x_r . y_c becomes a row of distances, in place.
struct DistancesOfRow {
  tensor::Matrix block;
  const float* row_norms;
  const float* column_norms;
  index_t self;  // column of row r's own sample: r + self
  double* sums;

  template <class Team>
  SY_HD void operator()(const Team& team, index_t row) const {
    float* const d = block.row(row);
    const float norm = row_norms[row];
    const float* const norms = column_norms;
    team.for_each(block.cols, [=](index_t c) {
      const float square = (norm + norms[c]) - 2.0F * d[c];
      d[c] = std::sqrt(square > 0.0F ? square : 0.0F);
    });
    const index_t own = row + self;
    team.sync();
    team.once([&] {
      if (own >= 0 && own < block.cols) d[own] = 0.0F;
    });
    const double sum = team.sum(block.cols, [&](index_t c) { return static_cast<double>(d[c]); });
    team.once([&] { sums[row] += sum; });
  }
};

struct ProductOfRows {
  tensor::ConstMatrix x, y;
  double* sums;
  SY_HD void operator()(index_t row) const {
    double sum = 0;
    for (index_t c = 0; c < x.cols; ++c) sum += static_cast<double>(x(row, c)) * static_cast<double>(y(row, c));
    sums[row] = sum;
  }
};

}  // namespace kernels
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
  matmul(context,
         {.m = rows,
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

void products_of_rows(device::Context& context, tensor::ConstMatrix x, tensor::ConstMatrix y,
                      Span<double> sums) {
  detail::expect_shape("y", y, x.rows, x.cols);
  SY_EXPECTS(std::ssize(sums) == x.rows, "{} sums for {} rows", sums.size(), x.rows);
  device::for_each(context, x.rows, kernels::ProductOfRows{x, y, sums.data()});
}

}  // namespace switchyard::ops
