// The gradient of a replicated network, as far as this rank computes it.
#pragma once

#include <vector>

#include "base/span.hpp"
#include "nn/network.hpp"

namespace switchyard::nn {

// What a parameter is for, as far as the optimiser treats it apart.
enum class Role { weight, router };

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
  // Set by the model:
  Role role = Role::weight;
  index_t unit = 0;  // of the norm table
};

// What the entries of a model's table of squared norms belong to. A unit is what has a norm of its own for
// optim.name = normalised_sgd: a network.
struct NormTable {
  Vector<index_t> unit_begin = {0};  // entries of unit u: [unit_begin[u], unit_begin[u + 1])
  Vector<index_t> parameter;         // per entry; the blocks of a parameter are neighbours

  // Appends a unit.
  void add(const std::vector<index_t>& parameters);
  index_t entries() const { return unit_begin.back(); }
};

// How many blocks of rows a whole-rows [in, out] matrix is cut into: a function of its shape only.
index_t block_count(index_t in, index_t out);
// The parameter of each entry that a set of the network has in the table of squared norms: one for a per-tile
// parameter, one for each block of a whole-rows one.
std::vector<index_t> norm_parameters(const Network& network);

// Per-tile parameters lie one after the other in one array, as in a row of partials. A whole-rows parameter is
// cut into fixed blocks of rows, of which this rank has a contiguous run. A frozen network has no gradient: no
// slices and no memory.
class NetworkGradient {
 public:
  // Large updates are shared out among `ranks`.
  struct Sharing {
    int ranks = 1;
    int rank = 0;
  };
  NetworkGradient(Network& network, Sharing sharing);

  // Adds all tiles' partials. Collective over the batch's ranks if its tiles are distributed.
  void reduce_partials(const Pass& pass, Span<const float> partials);
  // Gathers rows (collective as above) and computes this rank's blocks.
  void compute_blocks(const Pass& pass, const NetworkRecord& record);
  // After an update: every rank gets the rows that the others changed. Collective over `communicator`.
  void gather_updated_values(comm::Communicator& communicator);

  Span<ParameterSlice> slices() { return slices_; }
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
