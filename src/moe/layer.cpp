#include "moe/layer.hpp"

#include "tensor/tensor.hpp"

namespace switchyard::moe {

Layer::Layer(const LayerOptions& options, comm::Communicator& communicator, Placement placement)
    : communicator_(&communicator),
      placement_(std::move(placement)),
      router_(Router::make({options.routing, options.gate, options.gate_options, communicator, options.seed})),
      experts_(options.expert, options.head, options.expert_options, placement_.hosted_by(communicator.rank()),
               options.seed),
      exchange_(communicator, {options.outputs, experts_.network().shown_hidden()}) {}

LayerOutput Layer::forward(const nn::Pass& pass) {
  device::Context& context = pass.context;
  pass.clock.enter(Phase::gate);
  LayerOutput output;
  output.routing = router_->route(pass);
  pass.clock.enter(Phase::exchange);
  plan_.build(context.workspace(), *communicator_, placement_, output.routing);
  exchange_.dispatch(context, plan_, pass.batch.rows, Experts::row_multiple);
  pass.clock.enter(Phase::experts);
  experts_.forward(pass, exchange_);
  pass.clock.enter(Phase::combine);
  output.returned = exchange_.combine(context, plan_, experts_.returned());
  router_->weigh(pass, output);
  return output;
}

SlotGradients Layer::begin_backward(const nn::Pass& pass) {
  const index_t samples = pass.tiles().local_rows();
  SlotGradients gradients{{}, tensor::allocate_matrix(pass.workspace(), samples, router_->slots())};
  if (experts_.frozen()) return gradients;
  experts_.begin_backward(pass);
  gradients.returned = exchange_.gradient_rows(pass.context, plan_, experts_.d_returned());
  return gradients;
}

void Layer::backward(const nn::Pass& pass, const LayerOutput& output, const SlotGradients& gradients,
                     const RegulariserGradients& regularisers) {
  pass.clock.enter(Phase::combine);
  router_->backward_scores(pass, output, gradients, regularisers);
  if (!experts_.frozen()) {
    exchange_.combine_backward(pass.context, plan_, experts_.d_returned());
    pass.clock.enter(Phase::experts);
    experts_.backward(pass);
  }
  pass.clock.enter(Phase::gate);
  if (RouterNetwork* const network = router_->network()) network->backward(pass);
}

void Layer::reduce_gradients(const nn::Pass& pass) {
  pass.clock.enter(Phase::experts);
  if (!experts_.frozen()) experts_.reduce_gradients(pass);
  pass.clock.enter(Phase::reduction);
  if (RouterNetwork* const network = router_->network()) network->reduce_gradients(pass);
}

void Layer::values_changed(device::Context& context, Changed changed) {
  const bool all = changed == Changed::all;
  if (RouterNetwork* const network = router_->network(); network != nullptr && (all || !network->frozen()))
    network->layers().values_changed(context);
  if (all || !experts_.frozen()) experts_.network().values_changed(context);
}

}  // namespace switchyard::moe
