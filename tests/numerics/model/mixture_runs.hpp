// A mixture of a few samples, run by the model on several ranks and by the reference, and their comparison.
#pragma once

#include <functional>
#include <string>

#include "model/outline.hpp"
#include "support/reference_mixture.hpp"

namespace switchyard::model {

inline constexpr index_t experts = 4;

struct Setting {
  std::string gate;
  std::string expert;
  tensor::SampleShape image;
  index_t top_k = 0;
  double importance = 0;
  nn::Precision precision = nn::Precision::float32;
  model::Loss loss = model::Loss::likelihood;
  moe::GateValue gate_value = moe::GateValue::softmax;
  bool noise = false;
  double balance = 0;
  double z_loss = 0;
  double gate_entropy = 0;
  moe::NoiseDraw noise_draw = moe::NoiseDraw::every_step;
  moe::When noise_when = moe::When::training;
  bool normal = false;  // the noise
  double noise_scale = 0;
  double load = 0;
  double similarity = 0;
  double similarity_same = 0;
  double similarity_different = 0;
  index_t similarity_layer = 0;
  double expert_temperature = 1;
  std::string partition = {};
  model::Frozen frozen = {};
  moe::GateScores scores = moe::GateScores::softmax;
  moe::Normalise normalise = moe::Normalise::automatic;
  double scale = 1;

  index_t classes() const { return loss == model::Loss::logistic ? 2 : 3; }
  index_t expert_count() const { return gate == "none" ? 1 : !partition.empty() ? 2 : experts; }
};

inline constexpr index_t samples = 13;      // four shards of 3, 3, 3 and 4
inline constexpr std::uint32_t step = 3;    // of the noise
inline constexpr std::uint32_t stream = 2;  // of the noise in evaluation

inline const std::string conv_gate = "conv:2 batch_norm relu max_pool dense:6 relu dense:experts";
inline const std::string conv_expert = "conv:1 relu max_pool dense:4 relu dense:classes";
inline constexpr tensor::SampleShape image{1, 8, 8};
inline const std::string attentive_gate = "conv:2 batch_norm relu max_pool dense:6 relu attention:experts";

// Samples of 4 patches of 5 numbers.
inline constexpr tensor::SampleShape patches{1, 4, 5};
inline const std::string patch_gate = "patch_filters:1 sum:experts";
inline const std::string patch_expert = "patch_filters:6 cubic sum:classes";

// Every part of the settings that a test does not name is that of the published experiments.
Setting clustered(model::Loss loss, moe::GateValue value, index_t top_k = 1);

ModelOptions make_options(const Setting& setting);
reference::MixtureCase make_reference(const Setting& setting, nn::Mode mode = nn::Mode::training);

struct Outcome {
  double loss = 0;
  reference::Parameters parameters;
  reference::Parameters gradient;
};
// In evaluation there is a loss and no gradient. `change` sees the model before its first batch.
Outcome run_model(const Setting& setting, int ranks, nn::Mode mode = nn::Mode::training,
                  const std::function<void(Model&)>& change = {});

// The model on 1, 2, 3 and 7 ranks against the reference. gradient_tolerance: relative to the largest gradient
// of all. float32 keeps 6e-8 a rounding and sums a few hundred terms; finite differences of a float64 loss with
// step 1e-6 are good to 1e-9.
void expect_equal(const Setting& setting, double loss_tolerance, double gradient_tolerance);

}  // namespace switchyard::model
