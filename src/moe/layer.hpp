// The mixture-of-experts layer.
#pragma once

#include <memory>

#include "moe/experts.hpp"
#include "moe/router.hpp"

namespace switchyard::moe {

struct LayerOptions {
  nn::NetworkShape gate;
  nn::NetworkShape expert;
  index_t outputs = 0;  // of an expert
  RouterOptions routing;
  ExpertHead head = ExpertHead::log_softmax;
  nn::NetworkOptions gate_options;
  nn::NetworkOptions expert_options;
  std::uint64_t seed = 0;
};

// Collective over the communicator's ranks in every call, in the order of the calls below.
class Layer {
 public:
  Layer(const LayerOptions& options, comm::Communicator& communicator, Placement placement);

  // route -> plan -> dispatch -> experts -> combine; a router that looks at what experts return weighs them
  // last
  LayerOutput forward(const nn::Pass& pass);
  SlotGradients begin_backward(const nn::Pass& pass);
  // combine, experts, router, mirrored with the same plan; `output` is the one of forward. Samples are data:
  // they need no gradient, so dispatch has no mirror here. A frozen network has no backward, and frozen experts
  // no mirror of combine.
  void backward(const nn::Pass& pass, const LayerOutput& output, const SlotGradients& gradients,
                const RegulariserGradients& regularisers);
  // Parameter gradients over the global batch.
  void reduce_gradients(const nn::Pass& pass);

  // After parameters were written from outside: all of them, by a checkpoint, or those that are trained, by an
  // update. Local.
  enum class Changed { all, trained };
  void values_changed(device::Context& context, Changed changed);

  Router& router() { return *router_; }
  const Router& router() const { return *router_; }
  Experts& experts() { return experts_; }
  const Experts& experts() const { return experts_; }
  const DispatchPlan& plan() const { return plan_; }

 private:
  comm::Communicator* communicator_;
  Placement placement_;
  std::unique_ptr<Router> router_;
  Experts experts_;
  DispatchPlan plan_;
  Exchange exchange_;
};

}  // namespace switchyard::moe
