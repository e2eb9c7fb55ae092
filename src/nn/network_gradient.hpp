// The gradient of a replicated network.
#pragma once

#include <functional>
#include <vector>

#include "base/span.hpp"
#include "nn/gradient_tree.hpp"
#include "nn/network.hpp"

namespace switchyard::nn {

// How many blocks of rows a whole-rows [in, out] matrix is cut into: a function of its shape only.
index_t block_count(index_t in, index_t out);
// A parameter of a network, and its entries in the table of squared norms, counted from the network's first:
// one, or one for each block of its rows.
struct ParameterPlace {
  index_t layer;
  const Parameter& parameter;
  IndexRange entries;

  bool whole_rows() const { return parameter.rule == GradientRule::whole_rows; }
  index_t row_elements() const { return parameter.count() / parameter.shape[0]; }
  // Rows of the parameter: all, or those of block `b`.
  IndexRange rows_of_block(index_t b) const { return partition(parameter.shape[0], entries.size(), b); }
};
void for_each_parameter(const Network& network, const std::function<void(const ParameterPlace&)>& use);
// The parameter of each entry that a set of the network has in the table of squared norms: one for a per-tile
// parameter, one for each block of a whole-rows one.
std::vector<index_t> norm_parameters(const Network& network);

// Each rank has the rows of its shards. Per-tile parameters go through a GradientTree. Of a whole-rows
// parameter the rows of all ranks are gathered; it is cut into fixed blocks of rows, a rank computes a run of
// them over all rows of the batch, and updates it. So no parameter is updated twice. A frozen network has no
// gradient: no slices, no memory.
class NetworkGradient {
 public:
  // The data plane is that of the batch, and must outlive this object.
  NetworkGradient(Network& network, comm::DataPlane& data_plane);

  // Network::backward, with the partial sums of the tiles added up as far as this rank can. Follows
  // begin_backward. Collective over the batch's ranks where there are batch statistics.
  void backward(const Pass& pass, NetworkRecord& record);
  // The gradients of slices(), over the whole batch. Collective.
  void reduce(const Pass& pass, const NetworkRecord& record);
  // After the update of slices(): every rank gets what the others changed. Collective.
  void gather_updated_values(device::Context& context);

  Span<ParameterSlice> slices() { return slices_; }
  // Appends the network as a unit: the entries of norm_parameters(), those of per-tile parameters in pieces.
  // The same on every rank, also of a frozen network.
  void add_norms(NormTable& table) const;

 private:
  struct Block {
    IndexRange rows;
    float* gradient;
  };
  struct WholeRows {
    index_t layer;
    index_t out;
    Vector<index_t> rows_per_rank;
    IndexRange mine;
    device::Buffer<float> gradient;  // [mine.size(), out]
    Vector<Block> blocks;
  };
  void add_whole_rows(const ParameterPlace& place);

  Network* network_;
  comm::DataPlane* data_plane_;
  GradientTree tree_;
  std::vector<WholeRows> whole_rows_;
  std::vector<ParameterSlice> slices_;
};

}  // namespace switchyard::nn
