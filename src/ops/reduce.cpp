#include "ops/reduce.hpp"

#include "base/contract.hpp"
#include "device/copy.hpp"
#include "device/launch.hpp"
#include "ops/detail/row_results.hpp"

namespace switchyard::ops {
namespace kernels {

// "Row" here is a block of neighbouring elements. The tree is walked depth first; level d of the scratch holds
// the sum of the subtree that is being added at depth d. One i stays with one thread, so that no sync is
// needed.
struct SumPartials {
  static constexpr index_t block = 512;  // 2 KiB: every level of the tree stays in the first-level cache

  tensor::ConstMatrix partials;  // at least one row
  float* out;

  index_t scratch_bytes() const {
    index_t levels = 1;
    for (index_t size = partials.rows; size > 1; size = size - size / 2) ++levels;
    return levels * block * size_of<float>;
  }
  template <class Team>
  SY_HD void operator()(const Team& team, index_t row) const {
    const index_t first = row * block;
    const index_t left = partials.cols - first;
    const index_t n = left < block ? left : block;
    float* const levels = team.template scratch<float>();
    add(team, first, n, 0, partials.rows, levels);
    team.for_each(n, [&](index_t i) { out[first + i] = levels[i]; });
  }

 private:
  // level[i] = sum of partials [begin, end) of element first + i.
  template <class Team>
  SY_HD void add(const Team& team, index_t first, index_t n, index_t begin, index_t end, float* level) const {
    const float* const left = partials.row(begin) + first;
    if (end - begin == 1) {
      team.for_each(n, [&](index_t i) { level[i] = left[i]; });
    } else if (end - begin == 2) {
      team.for_each(n, [&](index_t i) { level[i] = left[i] + left[partials.stride + i]; });
    } else {
      const index_t middle = begin + (end - begin) / 2;
      float* const right_level = level + block;
      add(team, first, n, begin, middle, level);
      add(team, first, n, middle, end, right_level);
      team.for_each(n, [&](index_t i) { level[i] += right_level[i]; });
    }
  }
};

// sums[row] = sum of squares of piece `row`, in float64.
struct SquaredSumOfPiece {
  const float* values;
  index_t count;
  double* sums;

  template <class Team>
  SY_HD void operator()(const Team& team, index_t row) const {
    const index_t first = row * squared_piece;
    const index_t n = count - first < squared_piece ? count - first : squared_piece;
    const double sum = team.sum(n, [&](index_t i) {
      const double value = values[first + i];
      return value * value;
    });
    team.once([&] { sums[row] = sum; });
  }
};

template <class T>
struct AddSum {
  const T* values;
  index_t count;
  double* sum;

  template <class Team>
  SY_HD void operator()(const Team& team, index_t /*row*/) const {
    const double added = team.sum(count, [&](index_t i) { return static_cast<double>(values[i]); });
    team.once([&] { *sum += added; });
  }
};

struct AddTo {
  const float* values;
  float* sums;
  SY_HD void operator()(index_t i) const { sums[i] += values[i]; }
};

}  // namespace kernels

void sum_partials(device::Context& context, tensor::ConstMatrix partials, Span<float> out) {
  SY_EXPECTS(partials.cols == std::ssize(out), "partial sums of {} elements to {}", partials.cols, out.size());
  if (partials.rows == 0) {
    device::zero_on_device<float>(context, out);
    return;
  }
  constexpr index_t block = kernels::SumPartials::block;
  device::for_each_row(context, (partials.cols + block - 1) / block,
                       kernels::SumPartials{partials, out.data()});
}

void add_sum(device::Context& context, Span<const float> values, double& sum) {
  device::for_each_row(context, 1, kernels::AddSum<float>{values.data(), std::ssize(values), &sum});
}
void add_sum(device::Context& context, Span<const double> values, double& sum) {
  device::for_each_row(context, 1, kernels::AddSum<double>{values.data(), std::ssize(values), &sum});
}

double sum_tree(Span<const double> values) {
  if (values.empty()) return 0.0;
  if (values.size() == 1) return values[0];
  const std::size_t half = values.size() / 2;
  return sum_tree(values.first(half)) + sum_tree(values.subspan(half));
}

Span<const double> squared_sums(device::Context& context, Span<const float> values) {
  static thread_local detail::RowResults<double> sums;
  const auto count = std::ssize(values);
  const index_t pieces = (count + squared_piece - 1) / squared_piece;
  device::for_each_row(context, pieces,
                       kernels::SquaredSumOfPiece{values.data(), count, sums.places(context, pieces)});
  return sums.read(context, pieces);
}

double squared_sum(device::Context& context, Span<const float> values) {
  return sum_tree(squared_sums(context, values));
}

void add_to(device::Context& context, Span<const float> values, Span<float> sums) {
  SY_EXPECTS(values.size() == sums.size(), "{} values to {} sums", values.size(), sums.size());
  device::for_each(context, std::ssize(sums), kernels::AddTo{values.data(), sums.data()});
}

}  // namespace switchyard::ops
