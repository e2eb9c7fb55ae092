// Layers in a row, with one or many sets of weights: a gate's network, or that of a rank's experts.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/span.hpp"
#include "device/tile_runs.hpp"
#include "nn/cost.hpp"
#include "nn/layer.hpp"
#include "nn/network_options.hpp"
#include "nn/network_shape.hpp"
#include "tensor/tensor.hpp"

namespace switchyard::nn {

struct NetworkRecord {
  Vector<std::unique_ptr<LayerRecord>> layers;
  tensor::Matrix d_hidden;  // gradient of the hidden vectors from outside, added to that of the layers behind
  tensor::Matrix d_input;   // of the rows; no data if they are data
  // By layer, of those whose input a later layer reads, too: the gradient that is added to that one's.
  Vector<tensor::Matrix> added_d_input;

  tensor::Matrix output() const { return layers.back()->output; }
  tensor::Matrix d_output() const { return layers.back()->d_output; }
};

// A bank: one shape, any number of sets of weights, each with a name. A gate's has one, the experts of a rank
// have one each, and a network without a set is there to be asked. The values of all sets lie in one array,
// parameter by parameter ([sets, shape...], a set at a multiple of 64 bytes), and gradients may lie alike
// (nn/bank_gradient.hpp). Holds no activations: those are the record's. May have no layer at
// all: a gate that computes nothing.
class Network {
 public:
  Network(std::vector<std::string> names, const NetworkShape& shape, const NetworkOptions& options,
          std::uint64_t seed);
  // Without a set.
  explicit Network(const NetworkShape& shape, const NetworkOptions& options = {})
      : Network(std::vector<std::string>(), shape, options, 0) {}

  index_t sets() const { return std::ssize(names_); }
  const std::string& name(index_t set) const { return names_[as_size(set)]; }
  // Of an array in checkpoints: "experts/0003/dense_1/weight".
  std::string name_of(index_t set, const BankArray& array) const { return name(set) + '/' + array.name; }
  device::MemoryKind memory() const { return values_.memory(); }
  // All values of all sets, and the places between them, which are zero.
  Span<float> values() { return values_.span(); }

  // Training leaves it as it is: it runs in evaluation mode, has no gradient and no backward.
  bool frozen() const { return frozen_; }
  index_t layer_count() const { return std::ssize(layers_); }
  Layer& layer(index_t i) const { return *layers_[i]; }
  index_t in_features() const { return layers_.front()->in_features(); }
  index_t out_features() const { return layers_.back()->out_features(); }
  // Of one set.
  index_t parameter_count() const;
  // Of one sample, forward; and in training, where a frozen network has no gradients.
  index_t multiply_adds() const;
  index_t training_multiply_adds() const;
  // Of one set: memory as forward and begin_backward take it, and the partial sums of a replicated network.
  Cost cost() const;
  // Width of the hidden vector that it shows; 0: none.
  index_t shown_hidden() const { return shown_layer_ ? layers_[*shown_layer_]->out_features() : 0; }
  // The shown hidden vectors of a forward, [rows, hidden]; and where their gradient from outside goes,
  // allocated by begin_backward and written by the caller in full.
  tensor::Matrix hidden(const NetworkRecord& record) const { return record.layers[*shown_layer_]->output; }
  // Sum of the sizes of the per-tile parameters of a set: the width of a row of partial gradients.
  index_t partial_width() const { return partial_width_; }

  // After the parameters were written from outside.
  void values_changed(device::Context& context);

  // All tiles over the pool, to record.output(). Collective over the batch's ranks where there are batch
  // statistics, as backward is. Calls then(rows) in the pool's tasks for rows whose output is there, while it
  // is in the cache.
  template <class Then>
  void forward(const Pass& pass, NetworkRecord& record, const Then& then) {
    begin_forward(pass, record);
    for (index_t stage = 0; stage < stage_count(); ++stage) {
      device::for_each_tile_run(pass.context, pass.tiles().local_count(), [&](IndexRange tiles) {
        for_each_piece(pass, tiles, [&](const TileRun& run) {
          forward_run(pass, stage, run, record);
          if (stage + 1 == stage_count()) then(run.rows);
        });
        forward_statistics(pass, stage, tiles, record);
      });
      join_forward(pass, stage, record);
    }
  }
  void forward(const Pass& pass, NetworkRecord& record) {
    forward(pass, record, [](IndexRange /*rows*/) {});
  }
  // Allocates the gradients of all activations; the caller then writes record.d_output(), unless it gives that
  // here.
  void begin_backward(const Pass& pass, NetworkRecord& record, tensor::Matrix d_output = {}) const;
  // run(columns, of_tiles), once or several times, calls of_tiles(tiles, partials) for ranges that make up all
  // tiles, from tasks of the pool. That writes these columns of each tile's partial gradients,
  // [partial_width()].
  template <class Run>
  void backward(const Pass& pass, NetworkRecord& record, const Run& run) {
    for (index_t stage = stage_count(); stage-- > 0;) {
      run(partial_columns(stage), [&, stage](IndexRange tiles, TilePartials partials) {
        backward_tiles(pass, stage, tiles, record, partials);
      });
      join_backward(pass, stage, record);
    }
  }

 private:
  // Gives the arrays their memory and first values.
  void allocate(const NetworkOptions& options, std::uint64_t seed);
  // A stage ends where statistics of the whole batch are needed, so a network without batch norm has one. Its
  // layers are [begin, end); the layer at `end` then takes its statistics. Backward goes from the last to the
  // first.
  index_t stage_count() const { return std::ssize(normalised_) + 1; }
  std::size_t stage_begin(index_t stage) const;
  std::size_t stage_end(index_t stage) const;
  void begin_forward(const Pass& pass, NetworkRecord& record) const;
  // On the CPU, pieces of a tile whose output fits the second-level cache, where all layers take them and the
  // weights that are read for each are less than half of it.
  template <class Body>
  void for_each_piece(const Pass& pass, IndexRange tiles, const Body& body) const {
    const TileRun run = pass.tiles().run(tiles);
    const bool whole = piece_rows_ == 0 || pass.context.device() == device::DeviceKind::cuda;
    const index_t rows = whole ? std::max<index_t>(run.rows.size(), 1) : piece_rows_;
    for (index_t first = run.rows.begin; first < run.rows.end; first += rows)
      body(TileRun{tiles, {first, std::min(run.rows.end, first + rows)}});
  }
  void forward_run(const Pass& pass, index_t stage, const TileRun& run, NetworkRecord& record) const;
  void forward_statistics(const Pass& pass, index_t stage, IndexRange tiles, NetworkRecord& record) const;
  // Nothing after the last stage. Collective over the batch's ranks.
  void join_forward(const Pass& pass, index_t stage, NetworkRecord& record);
  void backward_tiles(const Pass& pass, index_t stage, IndexRange tiles, NetworkRecord& record,
                      TilePartials partials) const;
  // The layer whose output layer i reads; none: i reads the rows.
  std::optional<std::size_t> input_of(std::size_t i) const {
    if (links_[i].input) return links_[i].input;
    return i == 0 ? std::nullopt : std::optional(i - 1);
  }
  // Whether the gradient of i's input is added to that of a layer behind it, which reads the same.
  bool has_added_gradient(std::size_t i) const {
    const std::optional<std::size_t> from = input_of(i);
    return from && last_reader_[*from] != i;
  }
  void backward_layer(const Pass& pass, std::size_t i, IndexRange tiles, NetworkRecord& record,
                      TilePartials partials) const;
  // Brings to layer i's d_output what does not come from the layers that read it: before its backward.
  void complete_gradient(const Pass& pass, std::size_t i, IndexRange tiles, NetworkRecord& record) const;
  // What backward_tiles writes.
  IndexRange partial_columns(index_t stage) const;
  // Nothing after stage 0. Collective over the batch's ranks.
  void join_backward(const Pass& pass, index_t stage, NetworkRecord& record);

  std::vector<std::string> names_;  // by set
  Vector<std::unique_ptr<Layer>> layers_;
  Vector<LayerLinks> links_;         // by layer
  Vector<std::size_t> last_reader_;  // by layer: the last one that reads its output, itself: none
  device::Buffer<float> values_;     // of all parameters
  device::Buffer<float> state_;
  Vector<std::size_t> normalised_;       // layers that need statistics of the whole batch
  std::vector<index_t> partial_offset_;  // per layer
  index_t partial_width_ = 0;
  index_t piece_rows_ = 0;  // of forward; 0: tiles are taken whole
  std::optional<std::size_t> shown_layer_;
  bool frozen_ = false;
  bool gives_input_gradient_ = false;

  Pass own(const Pass& pass) const { return frozen_ ? pass.with(Mode::evaluation) : pass; }
};

}  // namespace switchyard::nn
