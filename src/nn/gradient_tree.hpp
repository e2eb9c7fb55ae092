// Sums over the shards of a batch of the gradients of parameters that every rank holds.
#pragma once

#include <vector>

#include "base/partition.hpp"
#include "base/span.hpp"
#include "comm/data_plane.hpp"
#include "device/thread_pool.hpp"
#include "nn/layer.hpp"
#include "nn/parameter_slice.hpp"
#include "nn/pass.hpp"
#include "ops/segments.hpp"

namespace switchyard::nn {

// The order of a sum is that of ops::sum_partials, sum(0..S) = sum(0..S/2) + sum(S/2..S), a function of the
// number of shards only. A rank adds the partial sums of its run of shards as far as that tree allows: to the
// maximal nodes that the run covers. Of each node, rank q gets slice q. It finishes the tree there and is the
// only one that updates the slice; then the values are gathered. The additions are the same on any layout, so
// the bits are. A run is one node where the ranks are a power of two and the shards a multiple of it: then each
// of R ranks sends 2 (1 - 1/R) times the parameters. Elsewhere it is fewer than twice as many as the tree is
// deep.
//
// Slices. The parameters, one after the other, are a row, as a shard's partial sums are. It is cut into nearly
// equal slices where within a parameter a piece of ops::squared_sum ends: the squares of pieces, whoever
// computes them, add up to the bits that one rank alone would find for the parameter (NormTable::square_begin).
// A slice may therefore begin within a row of a matrix.
//
// Memory. Partial sums lie in rooms of the step's workspace, of a row each. As many shards are computed at once
// as the pool has threads, into a room each; then neighbours are added, which frees rooms. One thread needs
// log2(S) + 1 rooms, each further one another. What arrives is one more for a node of each rank, and after the
// update what several ranks gather is one. A warm step allocates nothing.
class GradientTree {
 public:
  // Whole parameters in `memory`, of which only `gradient` says nothing, the same on every rank. The data plane
  // is that of the ranks that share out the shards, and must outlive this object; null: this rank has them all.
  GradientTree(comm::DataPlane* data_plane, std::vector<ParameterSlice> parameters, device::MemoryKind memory);

  // What this rank updates. Their gradients are those of the batch after reduce().
  Span<ParameterSlice> slices() { return slices_; }

  // Takes rooms for a batch in `pass.tiles().total_count()` shards. Local, as sum_shards().
  void begin(const Pass& pass);
  // For so many shards of whatever is added up, `at_once` of which are computed at a time.
  void begin(const Pass& pass, index_t shards, index_t at_once);
  // Calls write(tiles, rows) for runs of this rank's shards: it writes each shard's partial sums to
  // columns.begin to columns.end of its row. Columns may come in any number of calls; each is there once. On a
  // CPU a run is one shard, in a task of the pool; on a GPU all of them, which there is room for.
  template <class Write>
  void sum_shards(device::Context& context, IndexRange columns, const Write& write) {
    if (context.device() == device::DeviceKind::cuda) {
      write(IndexRange{0, run_.size()}, TilePartials{rooms_.data(), width_});
      return join_all(context, columns);
    }
    sum_shards(context, columns, 1, [&](index_t tile, index_t /*piece*/, float* row) {
      write(IndexRange{tile, tile + 1}, TilePartials{row, width_});
    });
  }
  // write(tile, piece, row) for each of `pieces` pieces of a shard, which are tasks of their own of a CPU.
  template <class Write>
  void sum_shards(device::Context& context, IndexRange columns, index_t pieces, const Write& write) {
    free_all_rooms();
    for (index_t first = 0; first < run_.size(); first += at_once_) {
      take_rooms(first);
      context.pool().parallel_for(std::ssize(taken_) * pieces, [&](index_t t) {
        const index_t i = t / pieces;
        write(first + i, t % pieces, room(taken_[i]).data());
      });
      join(context, first, columns);
    }
  }
  // Into the gradients of slices(), or added to them for a later part of the batch. Collective: an exchange for
  // the first node of each rank, for the second of those that have it, and so on.
  void reduce(const Pass& pass);
  // How many rows of parameters a rank sends in a step, on average: reduce() and gather_updated_values().
  static double sent_rows(index_t shards, int ranks);
  // How many rows a rank has room for in a step's workspace.
  static double rooms(index_t shards, int ranks, int rank, index_t threads);

  // Collective, after the update: every rank gets what the others changed.
  void gather_updated_values(device::Context& context);

 private:
  // A node of the tree whose sum one rank has.
  struct Node {
    int rank;
    IndexRange shards;
  };
  static Vector<Node> nodes_of(index_t shards, int ranks);
  static index_t rooms_of(IndexRange run, index_t shards, index_t at_once);
  void plan(index_t shards, index_t at_once);
  IndexRange slice_of(int rank) const { return {cuts_[rank], cuts_[rank + 1]}; }
  Span<float> room(index_t i) const { return rooms_.subspan(i * width_, width_); }
  void free_all_rooms();
  void take_rooms(index_t first);
  void join(device::Context& context, index_t first, IndexRange columns);
  // Of a GPU, where each shard has a room: those of a node, to the first of them.
  void join_all(device::Context& context, IndexRange columns);
  void exchange(device::Context& context, index_t turn, Span<float> arrived);

  comm::DataPlane* data_plane_;  // null: of one rank
  int rank_, ranks_;
  std::vector<ParameterSlice> parameters_;
  index_t width_ = 0;               // of a row: all parameters
  Vector<index_t> cuts_;            // of a row, [ranks + 1]
  device::Buffer<float> gradient_;  // of this rank's slice of the row
  ops::Segments of_slices_,
      of_parameters_;  // between their places and those of a row, by the first parameter's
  std::vector<ParameterSlice> slices_;

  // For a number of shards and of threads.
  index_t shards_ = 0;
  index_t at_once_ = 1;  // shards
  index_t room_count_ = 1;
  IndexRange run_;              // this rank's shards
  Vector<Node> nodes_;          // of all ranks, in the order of the batch
  Vector<index_t> node_begin_;  // those of rank r: [node_begin_[r], node_begin_[r + 1])
  index_t turns_ = 0;           // most nodes of a rank

  // Of a step.
  Span<float> rooms_;      // [room_count_, width_]
  Vector<index_t> free_;   // rooms
  Vector<index_t> taken_;  // by the shards that are computed now
  Vector<index_t> sums_;   // with what is added up so far, in the order of shards; in the end this rank's nodes
  std::vector<Span<float>> finishing_;
  struct Layout {
    Vector<index_t> rows, first_row;
  };
  Layout sent_, received_;
};

}  // namespace switchyard::nn
