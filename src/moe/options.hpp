// What a configuration says about the mixture of experts: [moe].
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "config/schema.hpp"

namespace switchyard::moe {

// What multiplies a chosen expert's output.
enum class GateValue { softmax, noisy_softmax, noisy_logit };
enum class GateNoise { none, uniform, normal };
enum class NoiseDraw { every_step, once };
enum class NoiseWhen { training, always };
enum class PlacementRule { block, cyclic };

struct Options {
  std::int64_t experts = 5;
  std::int64_t top_k = 0;      // 0: dense, every expert sees every sample
  std::string partition = {};  // with model.gate = by_label:experts: the labels of each expert, "0 7 | 1 9"
  // The experts learn from the mixture with gate softmax(z / T), the gate from that with softmax(z).
  double expert_temperature = 1;
  GateValue gate_value = GateValue::softmax;
  GateNoise noise = GateNoise::none;
  double noise_scale = 0;  // uniform: range, 0: 1; normal: standard deviation, 0: 1/E
  NoiseDraw noise_draw = NoiseDraw::every_step;
  NoiseWhen noise_when = NoiseWhen::training;
  double importance = 0;    // weight of the importance regulariser
  double balance = 0;       // weight of the Switch balance loss
  double load = 0;          // weight of the load regulariser
  double z_loss = 0;        // weight of the router z-loss
  double gate_entropy = 0;  // weight of the entropy of a sample's gate probabilities
  double similarity = 0;    // weight of the sample-similarity regulariser, or the two published ones
  double similarity_same = 0;
  double similarity_different = 0;
  std::int64_t similarity_layer = 0;  // of the gate, whose output distances are taken of; 0: the inputs
  PlacementRule placement = PlacementRule::block;
};

// The weights of the regularisers, each with its key: the rows of the table of keys that regularisers have.
struct RegulariserWeight {
  std::string_view key;
  double value;
};
std::vector<RegulariserWeight> regulariser_weights(const Options& options);

config::Section section();

// That of a choice, by its key: "gate_value" gives "softmax".
std::string_view word_of(const Options& options, std::string_view key);

}  // namespace switchyard::moe
