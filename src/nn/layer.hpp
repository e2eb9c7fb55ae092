// One layer of a network.
#pragma once

#include <memory>

#include "base/span.hpp"
#include "nn/parameter.hpp"
#include "nn/pass.hpp"
#include "ops/norm_pool.hpp"
#include "tensor/view.hpp"

namespace switchyard::nn {

struct LayerText;
class LayerNames;
struct NetworkOptions;

// What one layer's forward leaves for its backward, for one batch. Each kind of layer adds what it needs. All
// memory is the step's workspace; the record is used again in every step.
struct LayerRecord {
  tensor::RowSource input;   // [rows, in_features]
  tensor::ConstMatrix skip;  // the output of another layer, if its is added; else without data
  tensor::Matrix output;     // [rows, out_features], dense
  tensor::Matrix d_output;   // gradient of output; backward overwrites it with the gradient before the ReLU

  LayerRecord() = default;
  LayerRecord(const LayerRecord&) = delete;
  LayerRecord& operator=(const LayerRecord&) = delete;
  virtual ~LayerRecord() = default;
};

// What the gradient of a product's weights is computed from: input and gradient of output, of the same rows.
struct ProductPair {
  ProductRows input;
  ProductRows d_output;

  ProductPair rows_from(IndexRange range) const { return {input.rows_from(range), d_output.rows_from(range)}; }
};

// Where tiles write their partial gradients: the first of a range at `first`, each `stride` behind the one
// before.
struct TilePartials {
  float* first = nullptr;
  index_t stride = 0;

  float* of(index_t i) const { return first + i * stride; }
  TilePartials from(index_t column) const { return {first + column, stride}; }
  // The first columns of so many tiles.
  tensor::Matrix matrix(index_t tiles, index_t cols) const { return {first, tiles, cols, stride}; }
};

// A layer of a bank (nn/network.hpp) computes on ranges of tiles, each tile with the weights of its set; what
// it makes of one does not depend on the others, nor on the range. The device says which ranges
// (device/tile_runs.hpp); callers run them in parallel and chain layers within one while its rows are in cache.
// Only batch statistics need all tiles at once: then `forward_statistics` runs for every tile,
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
  // Floats that one row's activations and their gradients take; and those of its copy, if it lies anywhere.
  virtual double activation_floats() const { return 2.0 * static_cast<double>(out_features()); }
  virtual double scattered_floats() const { return 0; }

  virtual Span<Parameter> parameters() = 0;
  virtual Span<StateArray> state() { return {}; }
  // The arrays above have their memory, for so many sets: the rest of what a set needs, in that kind of memory.
  // ConfigError if a GPU cannot run the layer.
  virtual void hold(index_t /*sets*/, device::MemoryKind /*memory*/) {}

  virtual bool needs_batch_statistics() const { return false; }

  // Of its own type, which the calls below expect.
  virtual std::unique_ptr<LayerRecord> make_record() const { return std::make_unique<LayerRecord>(); }

  // record.input is set. Allocates record.output and what else forward needs.
  virtual void begin_forward(const Pass& pass, LayerRecord& record) const = 0;
  virtual void forward_statistics(const Pass&, IndexRange /*tiles*/, LayerRecord&) const {}
  virtual void join_forward_statistics(const Pass&, LayerRecord&) {}
  // Whether a run may be a piece of a tile.
  virtual bool forward_takes_pieces() const { return false; }
  virtual void forward(const Pass& pass, const TileRun& run, LayerRecord& record) const = 0;

  // record.d_output is set before the tiles' backward.
  virtual void begin_backward(const Pass&, LayerRecord&) const {}
  virtual void backward_statistics(const Pass&, IndexRange /*tiles*/, LayerRecord&) const {}
  virtual void join_backward_statistics(const Pass&, LayerRecord&) {}
  // The gradient of record.skip, before backward.
  virtual void skip_gradient(const Pass&, IndexRange /*tiles*/, const LayerRecord&, tensor::Matrix /*d_skip*/,
                             ops::SkipGradient /*how*/) const {}
  // Writes the tiles' rows of d_input (unless d_input.data is null), and of each tile the partial gradients of
  // the per-tile parameters, one after the other in the order of parameters().
  virtual void backward(const Pass& pass, IndexRange tiles, LayerRecord& record, tensor::Matrix d_input,
                        TilePartials partials) const = 0;

  // Only for layers whose first parameter is a whole-rows one. What its gradient is of, after backward; on
  // every rank in the same precision. And rows [block.begin, block.end) of it, over all of the rows, which are
  // of one set and in global order: gradient[block.size(), columns], or added to it.
  enum class Gradient { written, added };
  virtual ProductPair product_rows(const LayerRecord&) const { return {}; }
  virtual void whole_rows_gradient(device::Context&, const ProductPair& /*rows*/, IndexRange /*block*/,
                                   float* /*gradient*/, Gradient /*how*/) const {}

  // The parameters were written from outside (an update, a checkpoint): copies in other precisions follow.
  virtual void values_changed(device::Context&) {}

 protected:
  Layer() = default;
};

}  // namespace switchyard::nn
