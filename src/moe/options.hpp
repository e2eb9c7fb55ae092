// What a configuration says about the mixture of experts: [moe].
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.hpp"
#include "config/schema.hpp"
#include "moe/regularisers/table.hpp"

namespace switchyard::moe {

// What scores the experts in a model that has no text of its gate.
enum class RouterOfRows { linear, cosine };
struct RouterWord {
  RouterOfRows value;
  std::string_view name;
  std::string_view gate;  // the text that means the same
};
inline constexpr std::array router_words = {RouterWord{RouterOfRows::linear, "linear", "dense:experts"},
                                            RouterWord{RouterOfRows::cosine, "cosine", "cosine:experts"}};
constexpr std::string_view gate_of(RouterOfRows router) { return router_words[as_size(router)].gate; }

// What multiplies a chosen expert's output.
enum class GateValue { softmax, noisy_softmax, noisy_logit };
// What a weight is by, and what it is divided by.
enum class GateScores { softmax, sigmoid };
enum class Normalise { automatic, chosen, all };
enum class GateNoise { none, uniform, normal };
enum class NoiseDraw { every_step, once };
enum class When { training, always };
// Which of an expert's slots are dropped where it has too many.
enum class DropBy { position, score };
// Automatic: where a token is cut.
enum class AroundSubTokens { automatic, yes, no };
enum class PlacementRule { block, cyclic };

struct Options : RegulariserWeights {
  std::int64_t experts = 5;
  std::int64_t top_k = 0;                      // 0: dense, every expert sees every sample
  RouterOfRows router = RouterOfRows::linear;  // with model.family = transformer
  std::int64_t hidden = 384;                   // with model.family = transformer: width of an expert's SwiGLU
  // With it, too: rows that a token is cut into, and the width of a SwiGLU that sees every token (0: there is
  // none).
  std::int64_t sub_heads = 1;
  AroundSubTokens head = AroundSubTokens::automatic;
  AroundSubTokens merge = AroundSubTokens::automatic;
  std::int64_t shared_hidden = 0;
  std::string partition = {};      // with model.gate = by_label:experts: the labels of each expert, "0 7 | 1 9"
  std::int64_t cosine_width = 16;  // with model.gate = cosine:experts: of the vectors that are compared
  double cosine_temperature = 0.07;
  // The experts learn from the mixture with gate softmax(z / T), the gate from that with softmax(z).
  double expert_temperature = 1;
  GateValue gate_value = GateValue::softmax;
  GateScores scores = GateScores::softmax;
  Normalise normalise = Normalise::automatic;
  double scale = 1;         // of the weights, where they multiply what experts return
  double bias_rate = 0;     // of the biases that balance the experts' loads; 0: none
  std::int64_t groups = 0;  // of neighbouring experts; 0: a sample's experts may be any
  std::int64_t top_groups = 0;
  double capacity = 0;  // of an expert, in even shares of a batch's slots; 0: it takes all that come
  DropBy drop = DropBy::position;
  When capacity_when = When::training;
  GateNoise noise = GateNoise::none;
  double noise_scale = 0;  // uniform: range, 0: 1; normal: standard deviation, 0: 1/E
  NoiseDraw noise_draw = NoiseDraw::every_step;
  When noise_when = When::training;
  std::int64_t similarity_layer = 0;  // of the gate, whose output distances are taken of; 0: the inputs
  PlacementRule placement = PlacementRule::block;
  std::int64_t replicas = 1;  // of every expert, each with a part of its rows
  std::int64_t gradient_blocks =
      0;  // of an expert's rows, which its gradient is a sum over; 0: they are not cut
};

// The weights of the regularisers, each with its key.
struct RegulariserWeight {
  std::string_view key;
  double value;
};
std::vector<RegulariserWeight> regulariser_weights(const Options& options);

config::Section section();

// Only some of the experts see a sample.
inline bool chooses(const Options& options) { return options.top_k > 0 && options.top_k < options.experts; }
// Whether a layer before or behind the mixture is asked for: `head` or `merge`.
inline bool has(AroundSubTokens layer, const Options& options) {
  return layer == AroundSubTokens::yes || (layer == AroundSubTokens::automatic && options.sub_heads > 1);
}
// Over the chosen experts of a sample, `top_k` of them (0: all).
bool weighs_over_chosen(const Options& options);
// The weights of a sample add up to 1, or are a probability under all experts.
bool weights_are_probabilities(const Options& options);

// That of a choice, by its key: "gate_value" gives "softmax".
std::string_view word_of(const Options& options, std::string_view key);

}  // namespace switchyard::moe
