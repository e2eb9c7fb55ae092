// The network of a router, if it has one.
#pragma once

#include <cstdint>
#include <string>

#include "base/span.hpp"
#include "nn/network_gradient.hpp"

namespace switchyard::moe {

// On every rank the same; each computes its own shards. Batch statistics and gradients are those of the global
// batch. A frozen one has no gradient and no backward: the calls do nothing.
class RouterNetwork {
 public:
  // The ranks of `communicator` share out its gradient and its update.
  // `name` is that of the path in checkpoints.
  RouterNetwork(const std::string& name, const nn::NetworkShape& shape, const nn::NetworkOptions& options,
                comm::DataPlane& data_plane, std::uint64_t seed);
  RouterNetwork(const RouterNetwork&) = delete;
  RouterNetwork& operator=(const RouterNetwork&) = delete;

  bool frozen() const { return layers_.frozen(); }
  nn::Network& layers() { return layers_; }
  const nn::Network& layers() const { return layers_; }
  nn::NetworkGradient& gradient() { return gradient_; }

  // Of this rank's samples: [N, outputs]. Collective if it has batch norm.
  tensor::ConstMatrix forward(const nn::Pass& pass) {
    return forward(pass, [](IndexRange, tensor::ConstMatrix) {});
  }
  // Calls then(rows, output) for rows of the output, as nn::Network::forward does.
  template <class Then>
  tensor::ConstMatrix forward(const nn::Pass& pass, const Then& then) {
    layers_.forward(pass, record_, [&](IndexRange rows) { then(rows, output()); });
    return output();
  }
  // What forward returned, and what layer `layer` made of the samples on the way; from 1 on.
  tensor::ConstMatrix output() const { return record_.output(); }
  tensor::ConstMatrix output_of(index_t layer) const { return record_.layers[layer - 1]->output; }
  // Where the gradient of output() is to be written before backward; no data if the network is frozen. Local.
  tensor::Matrix begin_backward(const nn::Pass& pass);
  // Collective if it has batch norm.
  void backward(const nn::Pass& pass);
  // Of the rows that forward read, after backward; no data if they are data.
  tensor::ConstMatrix input_gradient() const { return record_.d_input; }
  // Sums over the global batch. Collective.
  void reduce_gradients(const nn::Pass& pass);

 private:
  nn::Network layers_;
  nn::NetworkGradient gradient_;
  nn::NetworkRecord record_;
};

}  // namespace switchyard::moe
