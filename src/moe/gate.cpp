#include "moe/gate.hpp"

#include "ops/mixture.hpp"
#include "ops/rows.hpp"

namespace switchyard::moe {

Gate::Gate(const nn::NetworkShape& shape, index_t experts, index_t top_k, const nn::NetworkOptions& options,
           int ranks, int rank, std::uint64_t seed)
    : network_("gate", shape, options, seed),
      gradient_(network_, {.replicated = true, .ranks = ranks, .rank = rank}),
      slots_(top_k == 0 ? experts : top_k),
      dense_(top_k == 0) {}

Routing Gate::route(device::Context& context, const nn::BatchTiles& tiles, tensor::ConstMatrix samples,
                    nn::Mode mode) {
  network_.forward(context, tiles, samples, mode, record_);
  device::Workspace& workspace = context.workspace();
  const index_t rows = tiles.local_rows();
  const auto matrix = [&] {
    return tensor::Matrix{workspace.allocate<float>(rows * slots_).data(), rows, slots_};
  };
  Routing routing{record_.layers.back().output,
                  workspace.allocate<std::int32_t>(rows * slots_),
                  matrix(),
                  matrix(),
                  rows,
                  slots_};
  if (dense_) {
    for (index_t i = 0; i < rows * slots_; ++i)
      routing.experts[static_cast<std::size_t>(i)] = static_cast<std::int32_t>(i % slots_);
  } else {
    ops::top_k(context, routing.logits, slots_, routing.experts.data());
  }
  ops::gate_weights(context, routing.logits, routing.experts.data(), slots_, routing.weights,
                    routing.log_weights);
  return routing;
}

tensor::Matrix Gate::begin_backward(device::Context& context, const nn::BatchTiles& tiles) {
  network_.begin_backward(context.workspace(), tiles, record_);
  partials_ = context.workspace().allocate<float>(tiles.local_count() * network_.partial_width());
  return record_.layers.back().d_output;
}

void Gate::backward(device::Context& context, const nn::BatchTiles& tiles) {
  network_.backward(context, tiles, record_, partials_.data());
}

void Gate::reduce_gradients(device::Context& context, const nn::BatchTiles& tiles) {
  gradient_.reduce_partials(context, tiles, partials_);
  gradient_.compute_blocks(context, tiles, record_);
}

}  // namespace switchyard::moe
