// The gradient of one network, as far as this rank computes it.
#pragma once

#include <vector>

#include "base/span.hpp"
#include "nn/network.hpp"

namespace switchyard::nn {

// A run of rows of one parameter that this rank updates: value and gradient side by side. The unit of the
// optimiser.
struct ParameterSlice {
  std::string name;     // of the parameter
  tensor::Shape shape;  // of the parameter
  IndexRange rows;      // of its first dimension
  bool shared = false;  // every rank holds and updates the same copy: small parameters of a replicated network
  float* value = nullptr;
  float* gradient = nullptr;
  index_t count = 0;       // elements
  index_t norm_entry = 0;  // place of this slice in the table of squared norms
  index_t unit = 0;        // the network: 0 is the gate, 1 + e expert e
};

// What the entries of a model's table of squared norms belong to.
struct NormTable {
  Vector<index_t> unit_begin = {0};  // entries of unit u: [unit_begin[u], unit_begin[u + 1])
  Vector<index_t> parameter;         // per entry; the blocks of a parameter are neighbours

  // Appends a unit.
  void add(const std::vector<index_t>& parameters);
  index_t entries() const { return unit_begin.back(); }
};

// Per-tile parameters lie one after the other in one array, as in a row of partials. A whole-rows parameter is
// cut into fixed blocks of rows, of which this rank has a contiguous run: all of an expert's, its share of a
// replicated one's. A frozen network has no gradient: no slices and no memory.
class NetworkGradient {
 public:
  // A replicated network's large updates are shared out among `ranks`; an owned one's (an expert's) are all
  // here.
  struct Sharing {
    bool replicated = false;
    int ranks = 1;
    int rank = 0;
  };
  NetworkGradient(Network& network, Sharing sharing);

  // How many blocks a [in, out] matrix is cut into: a function of its shape only.
  static index_t block_count(index_t in, index_t out);

  // Adds all tiles' partials. Collective over the batch's ranks if its tiles are distributed.
  void reduce_partials(const Pass& pass, Span<const float> partials);
  // Gathers rows (collective as above) and computes this rank's blocks.
  void compute_blocks(const Pass& pass, const NetworkRecord& record);
  // One block of this rank's, from rows that are all here: for callers that spread blocks of many networks over
  // threads.
  index_t local_block_count() const { return std::ssize(blocks_); }
  void compute_local_block(index_t block, const NetworkRecord& record);
  // After an update: every rank gets the rows that the others changed. Collective over `communicator`.
  void gather_updated_values(comm::Communicator& communicator);

  Span<ParameterSlice> slices() { return slices_; }
  // The parameter of each norm entry, for a network that need not be here.
  static std::vector<index_t> norm_parameters(const NetworkShape& shape, const GradientPolicy& policy);
  // Entries of the network in the table of squared norms, the same on every rank.
  index_t norm_entries() const { return norm_entries_; }

 private:
  struct Block {
    index_t layer;
    IndexRange rows;
    float* gradient;
  };
  struct WholeRows {
    index_t layer;
    index_t out;
    Vector<index_t> rows_per_rank;
    IndexRange mine;
    device::Buffer<float> gradient;  // [mine.size(), out]
  };
  void add_whole_rows(index_t layer, Parameter& parameter, Sharing sharing);

  Network* network_;
  device::Buffer<float> small_;  // all per-tile parameters' gradients
  std::vector<WholeRows> whole_rows_;
  Vector<Block> blocks_;
  std::vector<ParameterSlice> slices_;
  index_t norm_entries_ = 0;
};

}  // namespace switchyard::nn
