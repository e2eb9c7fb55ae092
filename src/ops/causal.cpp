#include "ops/causal.hpp"

#include <algorithm>
#include <cmath>

#include "base/contract.hpp"
#include "device/launch.hpp"
#include "device/transfer.hpp"
#include "ops/detail/expect_shape.hpp"
#include "ops/kernels/causal.hpp"

namespace switchyard::ops {

using detail::expect_shape;

RotaryTable RotaryTable::make(index_t positions, index_t head_width, double base, device::MemoryKind memory) {
  SY_EXPECTS(head_width % 2 == 0, "a head of {} numbers has no pairs", head_width);
  const index_t half = head_width / 2;
  Vector<float> cosine(positions * half), sine(positions * half);
  for (index_t p = 0; p < positions; ++p) {
    for (index_t i = 0; i < half; ++i) {
      const double turns = std::pow(base, -static_cast<double>(i) / static_cast<double>(half));
      const double angle = static_cast<double>(p) * turns;
      cosine[p * half + i] = static_cast<float>(std::cos(angle));
      sine[p * half + i] = static_cast<float>(std::sin(angle));
    }
  }
  return {positions, half, device::make_table<float>(memory, cosine), device::make_table<float>(memory, sine)};
}

void rotate(device::Context& context, const RotaryTable& table, index_t heads, Turn turn, tensor::Matrix rows,
            Places places) {
  SY_EXPECTS(rows.cols >= heads * 2 * table.half, "{} columns for {} heads of {}", rows.cols, heads,
             2 * table.half);
  device::for_each_row(context, rows.rows,
                       kernels::Rotate{table.cosine.data(), table.sine.data(), table.positions, table.half,
                                       heads, turn == Turn::forward ? 1.0F : -1.0F, places, rows});
}

namespace {

kernels::SeenColumns seen_by(const CausalMask& mask, index_t rows) {
  const bool of_one = mask.rows >= rows;
  const index_t heads = of_one ? 1 : (mask.first_head + rows / mask.rows + mask.heads - 1) / mask.heads;
  SY_EXPECTS(mask.first.empty() || std::ssize(mask.first) >= heads * (of_one ? rows : mask.rows),
             "{} first columns of {} rows", mask.first.size(), rows);
  SY_EXPECTS(of_one || rows % mask.rows == 0, "{} rows of heads with {} each", rows, mask.rows);
  return {mask.first.empty() ? nullptr : mask.first.data(), mask.places, mask.rows, mask.heads,
          mask.first_head};
}

}  // namespace

void causal_softmax(device::Context& context, CausalMask mask, float scale, tensor::Matrix scores) {
  const Places& places = mask.places;
  SY_EXPECTS(places.first >= 0 && places.count > 0 &&
                 (scores.rows == 0 || places.of(std::min(scores.rows, mask.rows) - 1) < scores.cols),
             "{} rows from position {} on of {}", scores.rows, places.first, scores.cols);
  device::for_each_row(context, scores.rows, kernels::CausalSoftmax{seen_by(mask, scores.rows), scale, scores});
}

void causal_softmax_backward(device::Context& context, CausalMask mask, tensor::ConstMatrix p, float scale,
                             tensor::Matrix d) {
  expect_shape("p", p, p.rows, std::min(p.rows, mask.rows));
  expect_shape("d", d, p.rows, p.cols);
  device::for_each_row(context, p.rows, kernels::CausalSoftmaxBackward{seen_by(mask, p.rows), p, scale, d});
}

}  // namespace switchyard::ops
