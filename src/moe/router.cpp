#include "moe/router.hpp"

namespace switchyard::moe {

index_t RouterOptions::slots() const {
  if (kind.slots > 0) return kind.slots;
  return top_k == 0 ? experts : top_k;
}

Router::Router(const RouterSetup& setup) : options_(setup.options) {
  if (options_.kind.has_network)
    network_.emplace(setup.name, setup.network, setup.network_options, setup.data_plane, setup.seed);
}

}  // namespace switchyard::moe
