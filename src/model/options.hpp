// What a configuration says about the model: [model] and the families' sections.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.hpp"
#include "config/schema.hpp"
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
  mixture,  // one mixture layer on samples that are rows
  tokens,   // residual blocks of mixture layers on the bytes of a text
};
// What model.expert is there.
nn::NetworkRole expert_role(Family family);

// [tokens]
struct TokensOptions {
  std::int64_t width = 64;
  std::int64_t blocks = 2;
};

// Layers as nn/network_spec.hpp reads them.
struct Options {
  std::string gate;    // ends in one output per expert; "none": one expert
  std::string expert;  // ends in one output per class; in one with Loss::logistic
  Loss loss = Loss::likelihood;
  nn::InitialValues init = nn::InitialValues::uniform;
  double gate_init_scale = 1;  // uniform: times the default bound; normal: the standard deviation
  double expert_init_scale = 1;
  Family family = Family::mixture;
  TokensOptions tokens = {};
};

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
  std::uint32_t draw = 0;  // one of many draws of first weights that the seed gives
};

}  // namespace switchyard::model
