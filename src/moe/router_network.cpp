#include "moe/router_network.hpp"

namespace switchyard::moe {

RouterNetwork::RouterNetwork(const std::string& name, const nn::NetworkShape& shape,
                             const nn::NetworkOptions& options, comm::DataPlane& data_plane, std::uint64_t seed)
    : layers_({name}, shape, options, seed), gradient_(layers_, data_plane) {}

tensor::Matrix RouterNetwork::begin_backward(const nn::Pass& pass) {
  if (frozen()) return {};
  layers_.begin_backward(pass, record_);
  return record_.d_output();
}

void RouterNetwork::backward(const nn::Pass& pass) {
  if (!frozen()) gradient_.backward(pass, record_);
}

void RouterNetwork::reduce_gradients(const nn::Pass& pass) {
  if (!frozen()) gradient_.reduce(pass, record_);
}

}  // namespace switchyard::moe
