#include "moe/layer.hpp"

#include <algorithm>
#include <iterator>

#include "base/contract.hpp"
#include "ops/moe/combine.hpp"
#include "ops/rows.hpp"
#include "tensor/tensor.hpp"

namespace switchyard::moe {

// Of a slot: the expert and two forms of its weight, its gradient, and where its row is; of a row, entropies
// and the joined rows of both passes. With several ranks a slot's row, what comes back and the gradients of
// both lie in messages, here or there.
nn::Cost LayerOptions::router_cost(index_t rows) const {
  const nn::Network network(gate, gate_options);
  nn::Cost cost = network.cost();
  const nn::Network of_expert(expert, expert_options);
  const auto slots = static_cast<double>(routing.slots());
  const auto width = static_cast<double>(of_expert.in_features());
  const auto returned = static_cast<double>(outputs + of_expert.shown_hidden());
  const bool is_inner = expert_options.input_gradient;
  cost.row_floats += 12 * slots + 4 + (is_inner ? width + static_cast<double>(outputs) : 0);
  cost.remote_floats += slots * (width * (is_inner ? 4 : 2) + returned * (of_expert.frozen() ? 2 : 4) + 8);
  return cost.for_each_of(rows);
}

// A slot's row may be gathered beside the others of its expert. No partial sums of shards: an expert's are of
// tiles.
nn::Cost LayerOptions::experts_cost(index_t rows) const {
  const nn::Network network(expert, expert_options);
  nn::Cost cost = network.cost();
  const index_t of_one = cost.parameters;
  cost.row_floats +=
      network.layer(0).scattered_floats() + cost.partial_floats / static_cast<double>(Experts::tile_rows);
  cost.partial_floats = cost.gathered_floats = 0;
  cost = cost.for_each_of(rows * routing.slots());
  cost.parameters = of_one * routing.experts;
  cost.active_parameters = of_one * std::min(routing.experts, rows * routing.slots());
  return cost;
}

Layer::Layer(const LayerOptions& options, comm::Resources resources, Placement placement)
    : resources_(resources),
      placement_(std::move(placement)),
      blocks_{options.gradient_blocks, placement_.replicas(), Experts::tile_rows},
      outputs_(options.outputs),
      router_(Router::make({options.routing, options.gate, options.gate_options, resources.data_plane,
                            options.seed, options.scope + "gate"})),
      capacity_(router_->options()),
      experts_(options.scope, options.expert, options.expert_options,
               placement_.hosted_by(resources.communicator.rank()), options.seed,
               {blocks_, resources.replicas}),
      plan_(placement_, resources.communicator.rank(), resources.context.memory()),
      exchange_(resources, {options.outputs, experts_.network().shown_hidden()}) {
  const int copies = resources.replicas != nullptr ? resources.replicas->size() : 1;
  SY_EXPECTS(placement_.replicas() == copies && blocks_.count >= (copies > 1 ? copies : 0),
             "{} replicas of experts on {} ranks share {} blocks", placement_.replicas(), copies,
             blocks_.count);
}

LayerOutput Layer::forward(const nn::Pass& pass) {
  device::Context& context = pass.context;
  pass.clock.enter(Phase::gate);
  LayerOutput output;
  output.routing = router_->route(pass);
  pass.clock.enter(Phase::exchange);
  capacity_.limit(pass, resources_.communicator, output.routing);
  plan_.build(
      resources_, output.routing,
      {.samples = pass.batch.rows, .multiple = Experts::row_multiple, .of_ranks = pass.tiles().rows_per_rank()},
      blocks_);
  exchange_.dispatch(context, plan_, pass.batch.rows);
  pass.clock.enter(Phase::experts);
  experts_.forward(pass, plan_, exchange_.input());
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

tensor::Matrix Layer::backward(const nn::Pass& pass, const LayerOutput& output, const SlotGradients& gradients,
                               const RegulariserGradients& regularisers, nn::Wants wants) {
  device::Context& context = pass.context;
  RouterNetwork* const network = router_->network();
  const bool trains_experts = !experts_.frozen();
  pass.clock.enter(Phase::combine);
  router_->backward_scores(pass, output, gradients, regularisers);
  if (trains_experts) exchange_.begin_combine_backward(context, plan_);
  pass.clock.enter(Phase::gate);
  if (network != nullptr) network->backward(pass);
  if (trains_experts) {
    pass.clock.enter(Phase::combine);
    exchange_.combine_backward(context, plan_, experts_.d_returned());
    pass.clock.enter(Phase::experts);
    experts_.backward(pass);
  }

  const bool gives_gradient = wants == nn::Wants::input_gradient;
  if (gives_gradient) {
    pass.clock.enter(Phase::exchange);
    exchange_.begin_dispatch_backward(context, plan_, experts_.input_gradient());
  }
  if (trains_experts) {
    pass.clock.enter(Phase::experts);
    experts_.compute_gradients(pass, plan_.all_expert_rows());
  }
  if (!gives_gradient) return {};
  pass.clock.enter(Phase::exchange);
  const tensor::RowSource slots = exchange_.dispatch_backward(context, plan_, experts_.input_gradient());
  const tensor::Matrix d_x = tensor::allocate_matrix(pass.workspace(), pass.tiles().local_rows(), slots.cols);
  ops::sum_slots(context, slots, router_->slots(), d_x);
  if (network != nullptr) ops::add(context, network->input_gradient(), d_x);
  return d_x;
}

void Layer::reduce_gradients(const nn::Pass& pass) {
  pass.clock.enter(Phase::reduction);
  if (!experts_.frozen()) experts_.reduce_gradients(pass);
  if (RouterNetwork* const network = router_->network()) network->reduce_gradients(pass);
}

void Layer::values_changed(device::Context& context, Changed changed) {
  const bool all = changed == Changed::all;
  if (RouterNetwork* const network = router_->network(); network != nullptr && (all || !network->frozen()))
    network->layers().values_changed(context);
  if (all || !experts_.frozen()) experts_.network().values_changed(context);
}

void Layer::gather_updated_values(device::Context& context) {
  if (RouterNetwork* const network = router_->network()) network->gradient().gather_updated_values(context);
  experts_.gather_updated_values(context);
  values_changed(context, Changed::trained);
}

void Layer::add_norms(nn::NormTable& table) {
  unit_ = table.units();
  if (RouterNetwork* const network = router_->network()) {
    network->gradient().add_norms(table);
  } else {
    table.end_unit();
  }
  for (index_t e = 0; e < placement_.expert_count(); ++e) experts_.add_norms(table);
}

std::vector<nn::ParameterSlice> Layer::slices(const nn::NormTable& table) {
  std::vector<nn::ParameterSlice> all;
  if (RouterNetwork* const network = router_->network()) {
    for (nn::ParameterSlice slice : network->gradient().slices()) {
      slice.role = nn::Role::router;
      slice.belong_to(table, unit_);
      all.push_back(slice);
    }
  }
  for (nn::ParameterSlice& slice : experts_.slices()) {
    slice.belong_to(table, unit_ + 1 + experts_.id(slice.unit).index());
    all.push_back(std::move(slice));
  }
  return all;
}

std::vector<nn::NamedArray> Layer::arrays(const auto& of_layer) {
  std::vector<nn::NamedArray> arrays;
  enum class Of { router, expert };
  const bool has_copies = placement_.replica_of(resources_.communicator.rank()) > 0;
  const auto add = [&](nn::Network& network, index_t set, Of of) {
    const bool of_router = of == Of::router;
    for (index_t l = 0; l < network.layer_count(); ++l) {
      for (const nn::BankArray& array : of_layer(network.layer(l)))
        arrays.push_back({network.name_of(set, array), array.shape, array.of(set), /*shared=*/of_router,
                          of_router ? nn::Role::router : array.role, /*is_copy=*/!of_router && has_copies});
    }
  };
  if (RouterNetwork* const network = router_->network()) add(network->layers(), 0, Of::router);
  for (index_t e = 0; e < experts_.count(); ++e) add(experts_.network(), e, Of::expert);
  return arrays;
}

std::vector<nn::NamedArray> Layer::parameters() {
  return arrays([](nn::Layer& layer) { return layer.parameters(); });
}

std::vector<nn::NamedArray> Layer::state() {
  std::vector<nn::NamedArray> all = router_->state();
  std::ranges::move(arrays([](nn::Layer& layer) { return layer.state(); }), std::back_inserter(all));
  return all;
}

}  // namespace switchyard::moe
