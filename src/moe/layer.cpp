#include "moe/layer.hpp"

namespace switchyard::moe {

Layer::Layer(const LayerOptions& options, comm::Communicator& communicator, Placement placement)
    : communicator_(&communicator),
      placement_(std::move(placement)),
      outputs_(options.outputs),
      gate_(options.gate, placement_.expert_count(), options.top_k, options.gate_options, communicator.size(),
            communicator.rank().value, options.seed),
      experts_(options.expert, options.expert_options, placement_.hosted_by(communicator.rank()), options.seed),
      exchange_(communicator, options.outputs) {}

LayerOutput Layer::forward(device::Context& context, const nn::BatchTiles& tiles, tensor::ConstMatrix samples,
                           nn::Mode mode, PhaseClock& clock) {
  clock.enter(Phase::gate);
  const Routing routing = gate_.route(context, tiles, samples, mode);
  clock.enter(Phase::exchange);
  plan_.build(context.workspace(), *communicator_, placement_, routing);
  exchange_.dispatch(context, plan_, samples, Experts::row_multiple);
  clock.enter(Phase::experts);
  experts_.forward(context, exchange_, mode);
  clock.enter(Phase::combine);
  const auto slot_rows = exchange_.combine(context, plan_, experts_.outputs(), routing.samples);
  return {routing, slot_rows};
}

Layer::Gradients Layer::begin_backward(device::Context& context, const nn::BatchTiles& tiles) {
  experts_.begin_backward(context);
  return {exchange_.gradient_rows(context, plan_, experts_.d_outputs(), tiles.local_rows()),
          gate_.begin_backward(context, tiles)};
}

void Layer::backward(device::Context& context, const nn::BatchTiles& tiles, PhaseClock& clock) {
  clock.enter(Phase::combine);
  exchange_.combine_backward(context, plan_, experts_.d_outputs());
  clock.enter(Phase::experts);
  experts_.backward(context);
  clock.enter(Phase::gate);
  gate_.backward(context, tiles);
}

void Layer::reduce_gradients(device::Context& context, const nn::BatchTiles& tiles, PhaseClock& clock) {
  clock.enter(Phase::experts);
  experts_.reduce_gradients(context);
  clock.enter(Phase::reduction);
  gate_.reduce_gradients(context, tiles);
}

void Layer::values_changed(device::Context& context) {
  gate_.network().values_changed(context);
  for (index_t e = 0; e < experts_.count(); ++e) experts_.network(e).values_changed(context);
}

}  // namespace switchyard::moe
