#include "ops/reduce.hpp"

#include <algorithm>

#include "base/contract.hpp"
#include "device/copy.hpp"
#include "device/launch.hpp"
#include "ops/detail/row_results.hpp"
#include "ops/kernels/tree.hpp"

namespace switchyard::ops {
namespace kernels {

// A block of neighbouring columns, summed over rows in the order of the tree: level d of the scratch is place d
// of its stack. One column stays with one thread, so that no sync is needed.
struct SumBlock {
  static constexpr index_t width = 512;  // 2 KiB: every level of the tree stays in the first-level cache

  static index_t scratch_bytes(index_t rows) { return tree_levels(rows) * width * size_of<float>; }
  // levels[c] = the sum over `rows` rows, `stride` apart, of column c of n.
  template <class Team>
  SY_HD static void sum(const Team& team, const float* first, index_t rows, index_t stride, index_t n,
                        float* levels) {
    float* top = levels;
    for (index_t leaf = 0; leaf < rows; ++leaf, top += width) {
      const float* const row = first + leaf * stride;
      TreeLeaf at(leaf, rows);
      if (at.opens_pair) {
        team.for_each(n, [=](index_t c) { top[c] = row[c] + row[stride + c]; });
        at = TreeLeaf(++leaf, rows);
        --at.completed;
      } else {
        team.for_each(n, [=](index_t c) { top[c] = row[c]; });
      }
      for (; at.completed > 0; --at.completed, top -= width) {
        float* const left = top - width;
        team.for_each(n, [=](index_t c) { left[c] += left[width + c]; });
      }
    }
  }
};

struct SumPartials {
  tensor::ConstMatrix partials;  // at least one row
  float* out;

  index_t scratch_bytes() const { return SumBlock::scratch_bytes(partials.rows); }
  template <class Team>
  SY_HD void operator()(const Team& team, index_t block) const {
    const index_t first = block * SumBlock::width;
    const index_t left = partials.cols - first;
    const index_t n = left < SumBlock::width ? left : SumBlock::width;
    float* const levels = team.template scratch<float>();
    SumBlock::sum(team, partials.data + first, partials.rows, partials.stride, n, levels);
    float* const to = out + first;
    team.for_each(n, [=](index_t c) { to[c] = levels[c]; });
  }
};

// "Row" is a set and a piece of its parameters.
struct SumSetPartials {
  SetPartials of;
  index_t most_tiles;

  index_t scratch_bytes() const { return SumBlock::scratch_bytes(most_tiles); }
  template <class Team>
  SY_HD void operator()(const Team& team, index_t row) const {
    const index_t set = row / of.pieces.count;
    const PartialPiece piece = of.pieces.pieces[row % of.pieces.count];
    const index_t begin = of.sets[set].begin;
    const index_t tiles = of.sets[set].end - begin;
    float* const levels = team.template scratch<float>();
    if (tiles == 0)
      team.for_each(piece.width, [=](index_t c) { levels[c] = 0.0F; });
    else
      SumBlock::sum(team, of.partials + begin * of.width + piece.column, tiles, of.width, piece.width, levels);
    float* const to = of.sums + piece.place + set * piece.set_stride;
    if (of.added)
      team.for_each(piece.width, [=](index_t c) { to[c] += levels[c]; });
    else
      team.for_each(piece.width, [=](index_t c) { to[c] = levels[c]; });
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
  constexpr index_t block = kernels::SumBlock::width;
  device::for_each_row(context, (partials.cols + block - 1) / block,
                       kernels::SumPartials{partials, out.data()});
}

void sum_set_partials(device::Context& context, const SetPartials& of, index_t sets, index_t most_tiles) {
  device::for_each_row(context, sets * of.pieces.count, kernels::SumSetPartials{of, most_tiles});
}

Vector<PartialPiece> pieces_of(const PartialPiece& whole) {
  Vector<PartialPiece> pieces;
  for (index_t first = 0; first < whole.width; first += kernels::SumBlock::width) {
    PartialPiece piece = whole;
    piece.column += first;
    piece.place += first;
    piece.width = std::min(kernels::SumBlock::width, whole.width - first);
    pieces.push_back(piece);
  }
  return pieces;
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
