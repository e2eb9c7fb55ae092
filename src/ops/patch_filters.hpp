// A two-layer network shared over patches, whose second layer is fixed to ones (Chen et al. 2022, section 3):
//
//   f_o(x) = sum_p sum_j activation(<w_{o,j}, x_p> + b_{o,j}),   p over patches, j over an output's filters
//
// Without an activation the sum over patches comes first, which is the same and P times cheaper.
#pragma once

#include "base/span.hpp"
#include "device/context.hpp"
#include "ops/of_sets.hpp"
#include "ops/tiles.hpp"
#include "tensor/tensor.hpp"
#include "tensor/view.hpp"

namespace switchyard::ops {

// out row r: the squares of the image in row r, `side` x `side` pixels, one behind the other from the top left
// on, each [channels][side][side]. The sides of the image are multiples of `side`.
void cut_patches(device::Context&, tensor::RowSource images, const tensor::SampleShape& image, index_t side,
                 tensor::Matrix out);

// gelu is x Phi(x) with the tanh approximation (Hendrycks and Gimpel 2016); celu has alpha = 1 (Barron 2017).
enum class PatchActivation { none, relu, cubic, celu, gelu, tanh };

struct PatchFilterShape {
  index_t patches = 0;     // P
  index_t patch_size = 0;  // d
  index_t outputs = 0;
  index_t filters = 0;  // of each output
  PatchActivation activation = PatchActivation::none;
  bool bias = false;

  constexpr index_t in_features() const { return patches * patch_size; }
  // Filters in all; weight is [patch_size, units()], unit o * filters + j.
  constexpr index_t units() const { return outputs * filters; }
  constexpr bool sums_first() const { return activation == PatchActivation::none; }
  // One filter for an output and no activation: what the filters give is the output.
  constexpr bool is_linear_map() const { return sums_first() && filters == 1; }
  // Patches that meet the filters: all, or their sum.
  constexpr index_t filtered_patches() const { return sums_first() ? 1 : patches; }
  constexpr index_t weight_count() const { return patch_size * units(); }
  constexpr index_t bias_count() const { return bias ? units() : 0; }
  // Of one sample, forward.
  constexpr index_t multiply_adds() const { return filtered_patches() * weight_count(); }
};

// What backward needs of forward, for the same rows. Written by forward; backward overwrites `filtered`.
struct PatchFilterRecord {
  tensor::Matrix sums;  // [rows, patch_size], the sum over patches; only with sums_first()
  // [rows, filtered_patches() * units()], before the activation; not used if is_linear_map()
  tensor::Matrix filtered;
};

// The rows of a batch, of which a call takes those of its tiles.
struct PatchFilterRows {
  tensor::RowSource samples;  // [rows, in_features()]
  PatchFilterRecord record;
  tensor::ConstMatrix d_out = {};  // [rows, outputs], in backward
};

// Of each set.
struct PatchFilterWeights {
  OfSets<const float> weight;  // [weight_count()]
  OfSets<const float> bias;    // [bias_count()], or null
};

// What a block of a GPU needs for this shape.
index_t patch_filters_scratch_bytes(const PatchFilterShape&);

// out: [rows, outputs].
void patch_filters_forward(device::Context&, const PatchFilterShape&, TileView tiles, const PatchFilterRows&,
                           PatchFilterWeights, tensor::Matrix out);

// Floats that backward needs for a tile of `rows` rows: a call for each of its tiles those of `most_rows` rows.
index_t patch_filters_workspace_floats(const PatchFilterShape&, index_t rows);
// gradients [tiles, weight_count() + bias_count()]: each tile's own.
void patch_filters_backward(device::Context&, const PatchFilterShape&, TileView tiles, const PatchFilterRows&,
                            Span<float> workspace, tensor::Matrix gradients);

}  // namespace switchyard::ops
