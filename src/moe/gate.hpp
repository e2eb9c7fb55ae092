// The gate: what scores the experts for a sample, and the choice that follows from the scores.
#pragma once

#include <cstdint>
#include <vector>

#include "base/span.hpp"
#include "moe/exchange.hpp"
#include "moe/gate_kind.hpp"
#include "moe/options.hpp"
#include "moe/routing.hpp"
#include "nn/network_gradient.hpp"
#include "ops/moe/attention.hpp"
#include "ops/moe/load.hpp"

namespace switchyard::moe {

// [moe], with the noise_scale that is used, and what the networks and the data add.
struct GateOptions : Options {
  GateKind kind = GateKind::network;
  index_t classes = 0;  // most_certain: of an expert's distribution
  ops::GateMeasure measure = ops::GateMeasure::weight;
  Vector<std::int32_t> expert_of_label = {};  // labels

  index_t slots() const;  // K
};

// Gradients of regularisers that depend on sums over the batch, so that they are the same for every sample
// (empty: none), weights of those that are means over samples, and a gradient for each sample.
struct RegulariserGradients {
  Span<const double> importance = {};   // [E], by a sample's gate weight
  Span<const double> probability = {};  // [E], by a sample's full softmax over all experts
  Span<const double> load = {};         // [E], by a sample's expected load (ops/moe/load.hpp)
  double z_loss = 0;                    // of the squared log sum of e^score
  double entropy = 0;                   // of the entropy of the full softmax
  // sample_scale times [N, E] by a sample's full softmax (no data: none)
  tensor::ConstMatrix sample_probability = {};
  double sample_scale = 0;
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
  SlotParts<float> returned;  // the hidden part is the gate's to write
  tensor::Matrix slots;
  const tensor::RowTarget& slot_rows() const { return returned[Returned::output]; }
};

// Its network, which may have no layers, is replicated on every rank; each computes its own shards. Batch
// statistics and gradients are those of the global batch.
class Gate {
 public:
  // `sharing` says which blocks of the large matrices this rank updates.
  Gate(const nn::NetworkShape& shape, const GateOptions& gate, const nn::NetworkOptions& options,
       nn::NetworkGradient::Sharing sharing, std::uint64_t seed);

  nn::Network& network() { return network_; }
  const nn::Network& network() const { return network_; }
  nn::NetworkGradient& gradient() { return gradient_; }
  index_t slots() const { return slots_; }
  // Whether it has scores that learn.
  bool has_network() const { return moe::has_network(options_.kind); }
  ops::GateMeasure measure() const { return options_.measure; }

  // Chooses the experts of this rank's samples, and weighs them unless that takes what they return. Collective
  // if the network has batch norm. A NaN score is never chosen over a number; the model counts such scores, and
  // all ranks see the count.
  Routing route(const nn::Pass& pass);
  // Completes the scores and weights of the routing with what the experts returned. Local.
  void weigh(const nn::Pass& pass, LayerOutput& output) const;

  // The gradients of scores and, for attention, of queries and of the experts' hidden vectors, which are
  // written to gradients.returned; gradients.slots are by measure(). Local.
  void backward_scores(const nn::Pass& pass, const LayerOutput& output, const SlotGradients& gradients,
                       const RegulariserGradients& regularisers);
  // Through the network. Collective if it has batch norm.
  void backward_network(const nn::Pass& pass);
  // What layer `layer` made of this rank's samples in route(); from 1 on.
  tensor::ConstMatrix layer_output(index_t layer) const { return record_.layers[layer - 1].output; }
  // What each sample adds to the experts' expected load. The scores have normal noise.
  ops::ExpectedLoad expected_load(const Routing& routing) const;
  // Sums over the global batch. Collective.
  void reduce_gradients(const nn::Pass& pass);

 private:
  tensor::ConstMatrix add_noise(const nn::Pass& pass, tensor::ConstMatrix logits) const;
  void choose(const nn::Pass& pass, Routing& routing) const;
  void weigh_by_scores(device::Context& context, Routing& routing) const;
  ops::AttentionBatch attention(const SlotParts<const float>& returned) const;

  GateOptions options_;
  std::uint64_t seed_;
  nn::Network network_;
  nn::NetworkGradient gradient_;
  index_t slots_;
  nn::NetworkRecord record_;
  Span<float> partials_;
};

}  // namespace switchyard::moe
