// A mixture of experts in plain float64 loops: the oracle of the model's loss and gradients. It shares nothing
// with src/ but the shapes and the words of the configuration, and takes parameters by name.
#pragma once

#include <cstdint>
#include <vector>

#include "run/config.hpp"
#include "support/reference_network.hpp"

namespace switchyard::reference {

// Where the scores of the experts come from.
enum class GateKind { network, attention, most_certain, by_label, none };

struct MixtureCase {
  GateKind kind = GateKind::network;
  std::vector<std::int64_t> expert_of_label;  // GateKind::by_label
  double expert_temperature = 1;
  nn::NetworkShape gate;
  nn::NetworkShape expert;
  std::int64_t experts = 0;
  std::int64_t top_k = 0;  // 0: dense
  double importance = 0;
  double balance = 0;
  double z_loss = 0;
  double gate_entropy = 0;
  double load = 0;
  double noise_scale = 1;
  double similarity = 0;
  double similarity_same = 0;
  double similarity_different = 0;
  std::int64_t similarity_layer = 0;
  model::Loss loss = model::Loss::likelihood;
  moe::GateValue gate_value = moe::GateValue::softmax;
  moe::GateScores scores = moe::GateScores::softmax;
  moe::Normalise normalise = moe::Normalise::automatic;
  double scale = 1;           // of the weights, as factors of outputs
  std::vector<Values> noise;  // [sample][expert], added to the logits before the choice; empty: none
  std::vector<Values> images;
  std::vector<std::int64_t> labels;
};

// Euclidean distances of all pairs of samples: of the images, or of what layer `similarity_layer` of the gate
// makes of them.
std::vector<Values> pairwise_distances(const MixtureCase& test, const Parameters& parameters);
// Mean task loss plus regularisers, batch norm with the statistics of the whole batch, in an expert of the
// samples that chose it. The share of slots in the balance loss is a constant, as long as no choice changes.
double mixture_loss(const MixtureCase& test, const Parameters& parameters);
// Samples of each expert.
std::vector<std::int64_t> mixture_loads(const MixtureCase& test, const Parameters& parameters);
// The smallest distance, over samples, of a chosen expert's score from that of one that was not chosen: finite
// differences are right if it is far above their step. Infinity if every expert is chosen.
double routing_margin(const MixtureCase& test, const Parameters& parameters);
// Central differences of mixture_loss, for every element of every parameter, with the distances of the
// similarity regulariser held fixed. The experts' are those of the loss that experts see: with the gate's
// scores divided by the temperature, and without the errors of predicted losses, which the gate alone answers
// for.
Parameters mixture_gradient(const MixtureCase& test, Parameters parameters, double step = 1e-6);

}  // namespace switchyard::reference
