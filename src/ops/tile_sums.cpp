#include "ops/tile_sums.hpp"

#include <algorithm>

#include "base/contract.hpp"
#include "device/launch.hpp"
#include "ops/detail/expect_shape.hpp"
#include "ops/kernels/tile_sums.hpp"

namespace switchyard::ops {
namespace {

// One thread is fast where it reads a row to its end; a warp takes a column with each of its threads.
template <class Term>
void add_terms(device::Context& context, const TileSums& sums, index_t cols, const Term& term) {
  if (cols == 0) return;
  const index_t block = context.device() == device::DeviceKind::cuda ? device::lane_count : cols;
  const kernels::AddTerms<Term> kernel{sums, cols, block, term};
  device::for_each_row(context, sums.tiles.count * kernel.blocks(), kernel);
}

}  // namespace

void RowFigures::add(const RowFigure& figure) {
  SY_EXPECTS(count_ < most, "more than {} figures of a row", count_);
  figures_[count_++] = figure;
}

void add_figures(device::Context& context, const TileSums& sums, const RowFigures& figures) {
  device::for_each_row(context, sums.tiles.count * figures.count(), kernels::AddFigures{sums, figures});
}

void add_columns(device::Context& context, const TileSums& sums, tensor::ConstMatrix x) {
  add_terms(context, sums, x.cols, kernels::ColumnTerm{x});
}

void add_squared_differences(device::Context& context, const TileSums& sums, tensor::ConstMatrix x,
                             tensor::ConstMatrix y) {
  detail::expect_shape("y", y, x.rows, x.cols);
  add_terms(context, sums, x.cols, kernels::SquaredDifferenceTerm{x, y});
}

void add_by_index(device::Context& context, const TileSums& sums, Span<const std::int32_t> index, index_t slots,
                  index_t columns, tensor::ConstMatrix weights) {
  if (weights.data != nullptr) detail::expect_shape("weights", weights, std::ssize(index) / slots, slots);
  device::for_each_row(context, sums.tiles.count,
                       kernels::AddByIndex{sums, index.data(), slots, columns, weights});
}

void add_not_finite(device::Context& context, const TileSums& sums, tensor::ConstMatrix x) {
  device::for_each_row(context, sums.tiles.count, kernels::AddNotFinite{sums, x});
}

void join_tile_sums(device::Context& context, Span<const double> all, Span<double> sums, Span<double> total) {
  const auto width = std::ssize(sums);
  SY_EXPECTS(total.size() == sums.size() && width > 0 && std::ssize(all) % width == 0,
             "{} sums of tiles to {} and {}", all.size(), sums.size(), total.size());
  device::for_each(
      context, width,
      kernels::JoinTileSums{all.data(), std::ssize(all) / width, width, sums.data(), total.data()});
}

void add_scaled(device::Context& context, Span<const double> values, double factor, Span<double> sums) {
  SY_EXPECTS(values.size() == sums.size(), "{} values to {} sums", values.size(), sums.size());
  device::for_each(context, std::ssize(sums), kernels::AddScaled{values.data(), factor, sums.data()});
}

}  // namespace switchyard::ops
