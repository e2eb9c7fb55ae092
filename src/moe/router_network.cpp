#include "moe/router_network.hpp"

namespace switchyard::moe {

RouterNetwork::RouterNetwork(const nn::NetworkShape& shape, const nn::NetworkOptions& options,
                             nn::NetworkGradient::Sharing sharing, std::uint64_t seed)
    : layers_({"gate"}, shape, options, seed), gradient_(layers_, sharing) {}

tensor::ConstMatrix RouterNetwork::forward(const nn::Pass& pass) {
  layers_.forward(pass, record_);
  return output();
}

tensor::Matrix RouterNetwork::begin_backward(const nn::Pass& pass) {
  if (frozen()) return {};
  layers_.begin_backward(pass, record_);
  partials_ = pass.workspace().allocate<float>(pass.tiles().local_count() * layers_.partial_width());
  return record_.layers.back().d_output;
}

void RouterNetwork::backward(const nn::Pass& pass) {
  if (!frozen()) layers_.backward(pass, record_, partials_.data());
}

void RouterNetwork::reduce_gradients(const nn::Pass& pass) {
  if (frozen()) return;
  gradient_.reduce_partials(pass, partials_);
  gradient_.compute_blocks(pass, record_);
}

}  // namespace switchyard::moe
