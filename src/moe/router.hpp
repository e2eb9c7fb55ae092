// What scores the experts for a sample, and the choice that follows from the scores.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/span.hpp"
#include "moe/exchange.hpp"
#include "moe/options.hpp"
#include "moe/router_kind.hpp"
#include "moe/router_network.hpp"
#include "moe/routing.hpp"
#include "nn/parameter_slice.hpp"

namespace switchyard::moe {

// [moe], and what the networks and the data add.
struct RouterOptions : Options {
  RouterKind kind;
  index_t classes = 0;
  ops::GateMeasure measure = ops::GateMeasure::weight;

  index_t slots() const;  // K
};

// Gradients of regularisers that depend on sums over the batch, so that they are the same for every sample
// (empty: none), weights of those that are means over samples, and a gradient for each sample. Arrays, and
// sample_scale, lie in the memory of the context. Each belongs to one regulariser.
struct RegulariserGradients {
  Span<const double> importance = {};   // [E], by a sample's gate weight
  Span<const double> probability = {};  // [E], by a sample's full softmax over all experts
  Span<const double> load = {};         // [E], by a sample's expected load (ops/moe/load.hpp)
  double z_loss = 0;                    // of the squared log sum of e^score
  double entropy = 0;                   // of the entropy of the full softmax
  // *sample_scale times [N, E] by a sample's full softmax (no data: none)
  tensor::ConstMatrix sample_probability = {};
  const double* sample_scale = nullptr;
};

// What forward leaves: the choice, and per slot where what its expert returned lies. Memory of the step.
struct LayerOutput {
  Routing routing;
  SlotParts<const float> returned;
  const tensor::RowSource& slot_rows() const { return returned[Returned::output]; }  // of `outputs` values
};

// Where the loss writes its gradients: per slot a row of `outputs` values (none if the experts are frozen), and
// [N, K] what ops::GateGradient says.
struct SlotGradients {
  SlotParts<float> returned;  // the hidden part is the router's to write
  tensor::Matrix slots;
  const tensor::RowTarget& slot_rows() const { return returned[Returned::output]; }
};

// What a router is made of.
struct RouterSetup {
  const RouterOptions& options;
  const nn::NetworkShape& network;  // of kinds that have one
  const nn::NetworkOptions& network_options;
  comm::DataPlane& data_plane;  // of the ranks that share out its gradient and update
  std::uint64_t seed;
  std::string name = "gate";  // of its network
};

// What a slot's gradient is by, where its factor multiplies the expert's output.
inline ops::GateMeasure measure_of(GateValue value) {
  return value == GateValue::noisy_logit ? ops::GateMeasure::score : ops::GateMeasure::weight;
}

// Each kind has its file in moe/routers, and its row in the table of moe/router_kind.cpp.
class Router {
 public:
  static std::unique_ptr<Router> make(const RouterSetup& setup) { return setup.options.kind.make(setup); }
  virtual ~Router() = default;
  Router(const Router&) = delete;
  Router& operator=(const Router&) = delete;

  index_t slots() const { return options_.slots(); }
  const RouterOptions& options() const { return options_; }
  // Null where nothing learns.
  RouterNetwork* network() { return network_ ? &*network_ : nullptr; }
  const RouterNetwork* network() const { return network_ ? &*network_ : nullptr; }

  // Chooses the experts of this rank's samples, and weighs them unless that takes what they return. Collective
  // if the network has batch norm. A NaN score is never chosen over a number; the model counts such scores, and
  // all ranks see the count.
  virtual Routing route(const nn::Pass& pass) = 0;
  // Completes the scores and weights of the routing with what the experts returned. Local.
  virtual void weigh(const nn::Pass& /*pass*/, LayerOutput& /*output*/) const {}
  // From gradients.slots, which are by options().measure, to the gradients of the network's output, whose
  // backward() follows, and of the experts' hidden vectors (gradients.returned). Local.
  virtual void backward_scores(const nn::Pass& /*pass*/, const LayerOutput& /*output*/,
                               const SlotGradients& /*gradients*/,
                               const RegulariserGradients& /*regularisers*/) {}
  // After the update of a step, with the slots of each expert in the whole batch: [E] in the context's memory.
  // Local.
  virtual void after_update(device::Context& /*context*/, Span<const std::int64_t> /*loads*/) {}
  // What it learns without gradients, the same on every rank. Local.
  virtual std::vector<nn::NamedArray> state() { return {}; }

 protected:
  explicit Router(const RouterSetup& setup);

 private:
  RouterOptions options_;
  std::optional<RouterNetwork> network_;
};

}  // namespace switchyard::moe
