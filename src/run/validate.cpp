#include "run/validate.hpp"

#include <algorithm>
#include <limits>
#include <utility>

#include "config/require.hpp"
#include "moe/gate_kind.hpp"
#include "nn/network_spec.hpp"
#include "run/config.hpp"
#include "run/detail/validate_mixture.hpp"

namespace switchyard::run {
namespace {

using config::require;

void check_networks(const Config& config) {
  for (const nn::NetworkRole role : {nn::NetworkRole::gate, nn::NetworkRole::expert}) {
    const bool is_gate = role == nn::NetworkRole::gate;
    const auto layers = nn::parse_network(is_gate ? config.model.gate : config.model.expert, role);
    const bool needs_image = std::any_of(layers.begin(), layers.end(), [](const nn::LayerSpec& layer) {
      return layer.kind == nn::LayerSpec::Kind::conv || layer.kind == nn::LayerSpec::Kind::padded_conv ||
             layer.kind == nn::LayerSpec::Kind::max_pool;
    });
    const bool has_filters = std::any_of(layers.begin(), layers.end(), [](const nn::LayerSpec& layer) {
      return layer.kind == nn::LayerSpec::Kind::patch_filters;
    });
    require(config.train.precision == nn::Precision::float32 || !has_filters,
            "train.precision = bf16 with patch_filters in model.{} (they compute in float32 only); use float32",
            is_gate ? "gate" : "expert");
    require(data::reads_images(config.data) || !needs_image,
            "model.{} has conv, padded_conv or max_pool layers (only data.source = idx and cifar have images); "
            "use dense layers, or data.source = idx",
            is_gate ? "gate" : "expert");
  }
}

}  // namespace

bool takes_regularisers(const Config& config) {
  const moe::GateKind kind = moe::gate_kind(config.model.gate);
  // An attentive gate's scores are also the experts'.
  const bool learns = config.train.freeze != model::Freeze::gate || kind == moe::GateKind::attention;
  return config.moe.experts > 1 && moe::has_network(kind) && learns;
}

void validate(const Config& config) {
  schema().check(config);
  require(!config.run.dir.empty(),
          "run.dir is empty (a run keeps its files there); give a folder, such as runs/first");
  data::validate(config.data);
  check_networks(config);
  detail::validate_mixture(config);
  optim::validate(config.optim);
  train::validate(config.train);
}

}  // namespace switchyard::run
