// What the experts returned of a row, joined: y = sum_i w_i f_i over its slots, and back.
#pragma once

#include "base/host_device.hpp"
#include "base/span.hpp"
#include "device/context.hpp"
#include "ops/moe/gating.hpp"
#include "tensor/view.hpp"

namespace switchyard::ops {

// Views of the N rows on this rank, with K slots each.
struct CombineBatch {
  tensor::RowSource rows;       // [N * K, outputs]
  tensor::ConstMatrix weights;  // [N, K], what multiplies them

  SY_HD index_t slots() const { return weights.cols; }
};

// y: [N, outputs]; slots are added in their order.
void combine(device::Context&, const CombineBatch&, tensor::Matrix y);

// d f_i = scale w_i dy in full; d_slots_i = scale <f_i, dy>, times w_i if the measure is the weight (the
// gradient is then by its logarithm). `scale` is 1 / B where dy is by a sample's own loss.
struct CombineGradient {
  float scale = 1;
  GateMeasure measure = GateMeasure::weight;
  tensor::RowTarget d_rows;  // [N * K, outputs]; no columns: not wanted
  tensor::Matrix d_slots;    // [N, K]
};
void combine_backward(device::Context&, const CombineBatch&, tensor::ConstMatrix d_y, const CombineGradient&);

// y[n] = the sum of a row's slots, rows[n * slots + i], in the order of slots. y: [N, cols].
void sum_slots(device::Context&, const tensor::RowSource& rows, index_t slots, tensor::Matrix y);

}  // namespace switchyard::ops
