#include "moe/layer.hpp"

namespace switchyard::moe {

Layer::Layer(const LayerOptions& options, comm::Communicator& communicator, Placement placement)
    : communicator_(&communicator),
      placement_(std::move(placement)),
      outputs_(options.outputs),
      gate_(options.gate, options.routing, options.gate_options, communicator.size(), communicator.rank().value,
            options.seed),
      experts_(options.expert, options.head, options.expert_options, placement_.hosted_by(communicator.rank()),
               options.seed),
      exchange_(communicator, {options.outputs, options.expert.shows_hidden ? options.expert.hidden() : 0}) {}

LayerOutput Layer::forward(device::Context& context, const nn::BatchTiles& tiles, const Samples& samples,
                           nn::Mode mode, PhaseClock& clock) {
  clock.enter(Phase::gate);
  LayerOutput output;
  output.routing = gate_.route(context, tiles, samples, mode);
  clock.enter(Phase::exchange);
  plan_.build(context.workspace(), *communicator_, placement_, output.routing);
  exchange_.dispatch(context, plan_, samples.rows, Experts::row_multiple);
  clock.enter(Phase::experts);
  experts_.forward(context, exchange_, mode);
  clock.enter(Phase::combine);
  output.returned = exchange_.combine(context, plan_, experts_.returned(), output.routing.samples);
  gate_.weigh(context, output.returned, output.routing);
  return output;
}

Layer::Gradients Layer::begin_backward(device::Context& context, const nn::BatchTiles& tiles) {
  const index_t samples = tiles.local_rows();
  const index_t slots = gate_.slots();
  Gradients gradients{{}, {context.workspace().allocate<float>(samples * slots).data(), samples, slots}};
  if (experts_.frozen()) return gradients;
  experts_.begin_backward(context);
  gradients.returned = exchange_.gradient_rows(context, plan_, experts_.d_returned(), samples);
  return gradients;
}

void Layer::backward(device::Context& context, const nn::BatchTiles& tiles, const LayerOutput& output,
                     const Gradients& gradients, const RegulariserGradients& regularisers, PhaseClock& clock) {
  clock.enter(Phase::combine);
  gate_.backward_scores(context, tiles, output.routing, output.returned, gradients.slots, regularisers,
                        gradients.returned);
  if (!experts_.frozen()) {
    exchange_.combine_backward(context, plan_, experts_.d_returned());
    clock.enter(Phase::experts);
    experts_.backward(context);
  }
  clock.enter(Phase::gate);
  gate_.backward_network(context, tiles);
}

void Layer::reduce_gradients(device::Context& context, const nn::BatchTiles& tiles, PhaseClock& clock) {
  clock.enter(Phase::experts);
  if (!experts_.frozen()) experts_.reduce_gradients(context);
  clock.enter(Phase::reduction);
  if (!gate_.network().frozen()) gate_.reduce_gradients(context, tiles);
}

void Layer::values_changed(device::Context& context, Changed changed) {
  const bool all = changed == Changed::all;
  if (all || !gate_.network().frozen()) gate_.network().values_changed(context);
  if (!all && experts_.frozen()) return;
  for (index_t e = 0; e < experts_.count(); ++e) experts_.network(e).values_changed(context);
}

}  // namespace switchyard::moe
