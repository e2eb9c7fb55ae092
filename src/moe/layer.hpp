// The mixture-of-experts layer.
#pragma once

#include "base/phase_clock.hpp"
#include "moe/experts.hpp"
#include "moe/gate.hpp"

namespace switchyard::moe {

struct LayerOptions {
  nn::NetworkShape gate;
  nn::NetworkShape expert;
  index_t outputs = 0;  // of an expert
  GateOptions routing;
  ExpertHead head = ExpertHead::log_softmax;
  nn::NetworkOptions gate_options;
  nn::NetworkOptions expert_options;
  std::uint64_t seed = 0;
};

// What forward leaves: the choice, and per slot where what its expert returned lies. Memory of the step.
struct LayerOutput {
  Routing routing;
  SlotParts<const float> returned;
  std::span<const float* const> slot_rows() const {
    return returned[Returned::output];
  }  // rows of `outputs` values
};

// Collective over the communicator's ranks in every call, in the order of the calls below.
class Layer {
 public:
  Layer(const LayerOptions& options, comm::Communicator& communicator, Placement placement);

  // route -> plan -> dispatch -> experts -> combine; a gate that looks at what experts return weighs them last
  LayerOutput forward(device::Context& context, const nn::BatchTiles& tiles, const Samples& samples,
                      nn::Mode mode, PhaseClock& clock);

  // Where the loss writes its gradients: per slot a row of `outputs` values (none if the experts are frozen),
  // and [N, K] what ops::GateGradient says.
  struct Gradients {
    SlotParts<float> returned;  // the hidden part is the gate's to write
    tensor::Matrix slots;
    std::span<float* const> slot_rows() const { return returned[Returned::output]; }
  };
  Gradients begin_backward(device::Context& context, const nn::BatchTiles& tiles);
  // combine, experts, gate, mirrored with the same plan; `output` is the one of forward. Samples are data: they
  // need no gradient, so dispatch has no mirror here. A frozen network has no backward, and frozen experts no
  // mirror of combine.
  void backward(device::Context& context, const nn::BatchTiles& tiles, const LayerOutput& output,
                const Gradients& gradients, const RegulariserGradients& regularisers, PhaseClock& clock);
  // Parameter gradients over the global batch.
  void reduce_gradients(device::Context& context, const nn::BatchTiles& tiles, PhaseClock& clock);

  // After parameters were written from outside: all of them, by a checkpoint, or those that are trained, by an
  // update. Local.
  enum class Changed { all, trained };
  void values_changed(device::Context& context, Changed changed);

  Gate& gate() { return gate_; }
  const Gate& gate() const { return gate_; }
  Experts& experts() { return experts_; }
  const Placement& placement() const { return placement_; }
  const DispatchPlan& plan() const { return plan_; }
  index_t outputs() const { return outputs_; }

 private:
  comm::Communicator* communicator_;
  Placement placement_;
  index_t outputs_;
  Gate gate_;
  Experts experts_;
  DispatchPlan plan_;
  Exchange exchange_;
};

}  // namespace switchyard::moe
