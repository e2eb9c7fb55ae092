// What all layers of a network are made with.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "device/memory.hpp"
#include "nn/options.hpp"
#include "nn/parameter.hpp"

namespace switchyard::nn {

// Decides the gradient rule of a dense layer's weight [in, out].
struct GradientPolicy {
  // An expert's whole gradient is its owner's: one product over its rows.
  // A replicated network moves either the rows (batch x (in + out)) or the partials (shards x in x out),
  // whichever is fewer bytes; both numbers are the run's, so the choice is too.
  bool replicated = false;
  index_t batch_size = 0;
  index_t shards = 0;
  GradientRule rule(index_t in, index_t out) const {
    const bool whole_rows = !replicated || batch_size * (in + out) < shards * in * out;
    return whole_rows ? GradientRule::whole_rows : GradientRule::per_tile;
  }
};

struct NetworkOptions {
  GradientPolicy policy;
  Precision precision = Precision::float32;
  InitialWeights initial = {};
  bool frozen = false;
  bool input_gradient = false;                           // its rows are another layer's; else they are data
  device::MemoryKind memory = device::MemoryKind::host;  // of its arrays: that of the context it runs in
  index_t sets_of_all_ranks = 1;                         // of weights: experts
};

// Layers are numbered by their kind: conv_1, conv_2, batch_norm_1, dense_1.
class LayerNames {
 public:
  std::string next(std::string_view kind) {
    return std::string(kind) + '_' + std::to_string(++numbers_[std::string(kind)]);
  }

 private:
  std::map<std::string, int> numbers_;
};

}  // namespace switchyard::nn
