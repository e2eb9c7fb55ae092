#include "ops/reduce.hpp"

#include "base/contract.hpp"
#include "device/launch.hpp"
#include "ops/detail/row_results.hpp"
#include "ops/kernels/reduce.hpp"

namespace switchyard::ops {

void sum_partials(device::Context& context, Span<const float> partials, index_t partial_count,
                  Span<float> out) {
  const auto count = std::ssize(out);
  SY_EXPECTS(partial_count >= 0 && std::ssize(partials) == partial_count * count,
             "{} partial sums of {} elements are {} values", partial_count, count, partials.size());
  if (partial_count == 0) {
    device::zero_bytes(context.device(), out.data(), out.size_bytes());
    return;
  }
  constexpr index_t block = kernels::SumPartials::block;
  device::for_each_row(context, (count + block - 1) / block,
                       kernels::SumPartials{partials.data(), partial_count, count, out.data()});
}

double sum_tree(Span<const double> values) {
  if (values.empty()) return 0.0;
  if (values.size() == 1) return values[0];
  const std::size_t half = values.size() / 2;
  return sum_tree(values.first(half)) + sum_tree(values.subspan(half));
}

double squared_sum(device::Context& context, Span<const float> values) {
  static thread_local detail::RowResults<double> sums;
  const auto count = std::ssize(values);
  constexpr index_t piece = kernels::SquaredSumOfPiece::piece;
  const index_t pieces = (count + piece - 1) / piece;
  device::for_each_row(context, pieces,
                       kernels::SquaredSumOfPiece{values.data(), count, sums.places(context, pieces)});
  return sum_tree(sums.read(context, pieces));
}

void add_to(device::Context& context, Span<const float> values, Span<float> sums) {
  SY_EXPECTS(values.size() == sums.size(), "{} values to {} sums", values.size(), sums.size());
  device::for_each(context, std::ssize(sums), kernels::AddTo{values.data(), sums.data()});
}

}  // namespace switchyard::ops
