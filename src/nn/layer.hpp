// One layer of a network.
#pragma once

#include <cstdint>

#include "base/span.hpp"
#include "nn/parameter.hpp"
#include "nn/pass.hpp"
#include "tensor/view.hpp"

namespace switchyard::nn {

// What one layer's forward leaves for its backward, for one batch. All memory is the step's workspace.
struct LayerRecord {
  tensor::RowSource input;  // [rows, in_features]
  tensor::Matrix output;    // [rows, out_features], dense
  tensor::Matrix d_output;  // gradient of output; backward overwrites it with the gradient before the ReLU
  tensor::Matrix
      convolved;  // padded convolutions: before what follows; backward overwrites it with its gradient
  Span<std::uint8_t> argmax_place;  // max pooling: place of each maximum in its window
  Span<double> tile_statistics;     // batch norm: [tiles, width] of this rank, to be joined over all ranks
  Span<double> tile_sums;           // batch norm: [tiles or rows, width], sums before they are a tile's
  Span<double> tile_products;       // batch norm: [tiles, width] sums between the two passes of backward
  Span<float> scratch;              // [tiles, width] of the layer's kernels
  tensor::Matrix patch_sums;        // patch filters: see ops::PatchFilterRecord
  tensor::Matrix filtered;
  Span<float> gathered_input;      // the rows side by side, in the order of values that the layer reads
  bool products_in_bf16 = false;   // on every rank, also one without rows
  Span<ops::bfloat16> input_bf16;  // products in bf16: copies of input and d_output
  Span<ops::bfloat16> d_output_bf16;

  // The rows that the layer's products read; only for layers that have products.
  ProductRows product_input() const {
    if (products_in_bf16) return {true, nullptr, input_bf16.data(), input.rows, input.cols};
    return {false, input.in_order() ? input.base[0] : gathered_input.data(), nullptr, input.rows, input.cols};
  }
  ProductRows product_d_output() const {
    if (products_in_bf16) return {true, nullptr, d_output_bf16.data(), d_output.rows, d_output.cols};
    return {false, d_output.data, nullptr, d_output.rows, d_output.cols};
  }
};

// A layer of a bank (nn/network.hpp) computes tile by tile, each with the weights of its set; tiles are
// independent, so callers run them in parallel and chain layers within a tile while its rows are in cache. Only
// batch statistics need all tiles at once: then `forward_statistics` runs for every tile,
// `join_forward_statistics` (collective over the batch's ranks) once, and `forward` after that; the same for
// backward. begin_* allocate from the workspace and are called by the workspace's owner.
class Layer {
 public:
  virtual ~Layer() = default;
  Layer(const Layer&) = delete;
  Layer& operator=(const Layer&) = delete;

  virtual index_t in_features() const = 0;
  virtual index_t out_features() const = 0;
  // Of one sample: forward; and forward, weight gradients and, `behind` another layer, input gradients.
  // Products and convolutions; not batch norm, activations and pooling.
  virtual index_t multiply_adds() const { return 0; }
  virtual index_t training_multiply_adds(bool behind) const { return (behind ? 3 : 2) * multiply_adds(); }
  // Floats that one row's activations and their gradients take: an estimate for `plan`.
  virtual double activation_floats() const { return 2.0 * static_cast<double>(out_features()); }

  virtual Span<Parameter> parameters() = 0;
  virtual Span<StateArray> state() { return {}; }
  // The arrays above have their memory, for so many sets: the rest of what a set needs.
  virtual void hold(index_t /*sets*/) {}

  virtual bool needs_batch_statistics() const { return false; }

  // record.input is set. Allocates record.output and what else forward needs.
  virtual void begin_forward(const Pass& pass, LayerRecord& record) const = 0;
  virtual void forward_statistics(const Pass&, index_t /*tile*/, LayerRecord&) const {}
  virtual void join_forward_statistics(const Pass&, LayerRecord&) {}
  virtual void forward(const Pass& pass, index_t tile, LayerRecord& record) const = 0;

  // record.d_output is set before the tile's backward.
  virtual void begin_backward(const Pass&, LayerRecord&) const {}
  virtual void backward_statistics(const Pass&, index_t /*tile*/, LayerRecord&) const {}
  virtual void join_backward_statistics(const Pass&, LayerRecord&) {}
  // Writes the tile's rows of d_input (unless d_input.data is null), and the tile's partial gradients of the
  // per-tile parameters, one after the other in the order of parameters(), at `partial`.
  virtual void backward(const Pass& pass, index_t tile, LayerRecord& record, tensor::Matrix d_input,
                        float* partial) const = 0;

  // Rows [block.begin, block.end) of the gradient of the whole-rows parameter (the first of parameters()), over
  // all `input` rows of one set, which are in global order: gradient[block.size(), columns], or added to it.
  // Only for layers with such a parameter.
  enum class Gradient { written, added };
  virtual void whole_rows_gradient(const ProductRows& /*input*/, const ProductRows& /*d_output*/,
                                   IndexRange /*block*/, float* /*gradient*/, Gradient /*how*/) const {}

  // The parameters were written from outside (an update, a checkpoint): copies in other precisions follow.
  virtual void values_changed(device::Context&) {}

 protected:
  Layer() = default;
};

}  // namespace switchyard::nn
