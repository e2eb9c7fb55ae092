// What a configuration says about the model: [model] and the families' sections.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.hpp"
#include "config/schema.hpp"
#include "device/memory.hpp"
#include "model/heads/table.hpp"
#include "moe/options.hpp"
#include "nn/network_spec.hpp"
#include "nn/options.hpp"

namespace switchyard::model {

// The networks that training leaves as they are.
struct Frozen {
  bool gate = false;
  bool experts = false;
};
// Those that train.freeze names by patterns of parameters' names (config/name_pattern.hpp). ConfigError for a
// pattern that names no whole network, and for some of the experts.
Frozen frozen_networks(const std::string& patterns, index_t experts);

// What a model is put together from.
enum class Family {
  mixture,      // one mixture layer on samples that are rows
  tokens,       // residual blocks of mixture layers on the bytes of a text
  transformer,  // and of attention
};
// What model.expert is there.
nn::NetworkRole expert_role(Family family);

// [tokens]
struct TokensOptions {
  std::int64_t width = 64;
  std::int64_t blocks = 2;
};

// [transformer]
struct TransformerOptions {
  std::int64_t width = 144;
  std::int64_t layers = 6;
  std::int64_t heads = 3;
  std::int64_t hidden = 384;    // of the feed-forward network of a layer that is no mixture
  std::int64_t vocabulary = 0;  // 0: that of the data
  std::int64_t window = 256;
  std::int64_t mixture_every = 2;  // 0: no layer is a mixture
  double rotary_base = 10'000;
  bool tied = true;  // one table of token vectors at both ends
  double dropout = 0;
  bool across_documents = true;  // attention
  nn::Quantiser quantise = nn::Quantiser::none;
  bool integer_products = false;

  nn::Quantisation quantisation() const { return {quantise, integer_products}; }
  // Layers are counted from 0: of two, the second one is a mixture.
  bool is_mixture(std::int64_t layer) const { return mixture_every > 0 && (layer + 1) % mixture_every == 0; }
};

// Layers as nn/network_spec.hpp reads them.
struct Options {
  std::string gate;    // ends in one output per expert; "none": one expert
  std::string expert;  // ends in one output per class, or target; in one with Loss::logistic
  Loss loss = Loss::likelihood;
  double deviation = 1;  // of a target about an expert's output, Loss::gaussian
  nn::InitialValues init = nn::InitialValues::uniform;
  double gate_init_scale = 1;  // uniform: times the default bound; normal: the standard deviation
  double expert_init_scale = 1;
  Family family = Family::mixture;
  TokensOptions tokens = {};
  TransformerOptions transformer = {};
};
// A model of tokens, and not of samples that are rows.
inline bool reads_tokens(Family family) { return family != Family::mixture; }
// model.gate, or what the family has in its place.
std::string gate_text(const Options& options, const moe::Options& moe);
// Mixture layers of a model of tokens, or 0: the model is one.
index_t inner_layers(const Options& options);
// A transformer may have none.
bool has_mixture(const Options& options);

// [model] and those of the families.
std::vector<config::Section> sections();

// What a model is made from.
struct ModelOptions {
  Options networks;
  moe::Options moe;
  nn::Precision precision = nn::Precision::float32;
  Frozen frozen = {};
  index_t batch_size = 0;  // global
  index_t shards = 0;
  std::uint64_t seed = 0;
  bool recompute = false;  // a model of tokens keeps the inputs of its branches alone
  std::uint32_t draw = 0;  // one of many draws of first weights that the seed gives
  device::MemoryKind memory = device::MemoryKind::host;  // of its arrays: that of the context it runs in
};

}  // namespace switchyard::model
