#include "model/model.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.hpp"
#include "device/allowed_memory.hpp"
#include "model/mixture.hpp"
#include "model/outline.hpp"
#include "model/token_model.hpp"
#include "ops/gpu_products.hpp"

namespace switchyard::model {
namespace {

// Values and gradients are the least that a rank holds of its parameters; on a GPU values, which the host fills
// first: there memory that does not suffice is an error that says so itself. The host's is handed out before it
// is there: without this the kernel ends the process when it is written to, and nobody says why.
void expect_memory(const ModelOptions& options, const Task& task, const comm::Resources& resources) {
  const int ranks = resources.communicator.size();
  const bool on_gpu = resources.context.device() == device::DeviceKind::cuda;
  const Outline planned = outline(options, task);
  index_t parameters = planned.trunk().parameters;
  index_t floats = on_gpu ? parameters : 2 * parameters;
  const auto add = [&](const nn::NetworkShape& shape, index_t sets, bool frozen) {
    const index_t count = sets * nn::Network(shape).parameter_count();
    parameters += count;
    floats += frozen || on_gpu ? count : 2 * count;
  };
  for (const moe::LayerOptions& layer : planned.layers) {
    add(layer.gate, 1, options.frozen.gate);
    const index_t hosts = std::max<index_t>(ranks / options.moe.replicas, 1);
    add(layer.expert, (layer.routing.experts + hosts - 1) / hosts, options.frozen.experts);
  }
  const double needed = sizeof(float) * static_cast<double>(floats);
  const auto allowed = static_cast<double>(device::allowed_memory_bytes());
  if (allowed == 0 || needed <= allowed) return;
  constexpr double gibibyte = 1 << 30;
  throw OutOfMemory(fmt::format(
      "the model has {} parameters on a rank, {:.1f} GiB {} (this host allows {:.1f} GiB); use a smaller model or "
      "more hosts (`switchyard plan` says what a rank takes)",
      parameters, needed / gibibyte,
      on_gpu ? "of the host's memory until they are on the GPU" : "with their gradients", allowed / gibibyte));
}

// Where the context computes, and with the products that are asked for.
ModelOptions placed_in(const device::Context& context, ModelOptions options) {
  const bool tf32 = options.precision == nn::Precision::tf32;
  ops::set_float_products(context, tf32 ? ops::FloatProducts::tf32 : ops::FloatProducts::float32);
  options.memory = context.memory();
  return options;
}

}  // namespace

std::unique_ptr<TokenModel> make_token_model(const ModelOptions& options, const Task& task,
                                             comm::Resources resources) {
  expect_memory(options, task, resources);
  return std::make_unique<TokenModel>(placed_in(resources.context, options), task, resources);
}

std::unique_ptr<Model> make_model(const ModelOptions& options, const Task& task, comm::Resources resources) {
  expect_memory(options, task, resources);
  const ModelOptions placed = placed_in(resources.context, options);
  switch (options.networks.family) {
    case Family::mixture:
      return std::make_unique<Mixture>(placed, task, resources);
    case Family::tokens:
    case Family::transformer:
      return std::make_unique<TokenModel>(placed, task, resources);
  }
  return nullptr;
}

}  // namespace switchyard::model
