// The gradient of a network whose sets of weights have copies on several ranks, each with some of a set's rows.
#pragma once

#include <optional>
#include <vector>

#include "base/span.hpp"
#include "nn/gradient_tree.hpp"
#include "nn/network.hpp"
#include "nn/row_blocks.hpp"
#include "ops/reduce.hpp"

namespace switchyard::nn {

// A set's gradient is the sum over its row blocks in the fixed order of a GradientTree, where they are the
// shards and the copies the ranks: bits depend on the number of blocks, and not on that of copies. The copies
// share out the update, too, and gather the values. A frozen network has no gradient: no slices, no memory.
//
// Of a step's memory this takes what the tree does, log2(blocks) + 1 times the parameters of all sets, and on
// a GPU `blocks` times, fewer where copies share the blocks out.
class BlockGradient {
 public:
  // `copies`: the data plane of the ranks that have the same sets, which must outlive this object; null: there
  // are no others.
  BlockGradient(Network& network, const RowBlocks& blocks, comm::DataPlane* copies);

  // The sums of this rank's blocks, from the partials of its tiles, [local tiles, partial_width], and from what
  // backward left in the record. `rows`: of each set, on all copies together. Local; spread over the pool.
  void compute(const Pass& pass, Span<const index_t> rows, Span<const float> partials,
               const NetworkRecord& record);
  // The gradients of slices(), of all blocks; or added to them for a later part of the batch. Collective over
  // the copies.
  void reduce(const Pass& pass);
  // After the update of slices(): every copy gets what the others changed. Collective over the copies.
  void gather_updated_values(device::Context& context);

  // By set, which is their `unit`; norm_entry counts from the set's first.
  Span<ParameterSlice> slices() { return tree_.slices(); }
  // Appends a set as a unit. The same on every rank, also of a frozen network, and of one without a set.
  static void add_norms(const Network& network, NormTable& table);

 private:
  struct PerTile {
    index_t count;
    index_t partial;  // its first column in a row of partials
    index_t column;   // in a set's part of a row of the tree
  };
  struct WholeRows {  // a block of the parameter's rows
    index_t layer;
    IndexRange rows;
    index_t column;
  };
  struct OfBlock {
    index_t set;
    IndexRange tiles;  // of this rank
  };
  struct OfLayer {
    index_t layer, column;
  };
  // Of all sets and blocks in a launch for each layer and one for all others: what a GPU does. sums: [blocks,
  // sets, set_width_].
  void compute_at_once(const Pass& pass, Span<const index_t> rows, IndexRange of_blocks,
                       Span<const float> partials, const NetworkRecord& record, float* sums) const;
  OfBlock tiles_of(const Pass& pass, Span<const index_t> rows, index_t set, index_t block) const;
  void add_partials(const Pass& pass, const OfBlock& of, Span<const float> partials, float* of_set) const;
  void multiply(const Pass& pass, const OfBlock& of, const WholeRows& whole, const NetworkRecord& record,
                float* of_set) const;

  Network* network_;
  RowBlocks blocks_;
  IndexRange mine_;  // blocks
  Vector<PerTile> per_tile_;
  Vector<WholeRows> whole_rows_;
  Vector<OfLayer> whole_layers_;
  device::Buffer<ops::PartialPiece> pieces_;  // of per_tile_
  index_t set_width_ = 0;
  GradientTree tree_;
};

}  // namespace switchyard::nn
