// A network as a part of a model.
#pragma once

#include <string>

#include "nn/module.hpp"
#include "nn/network_gradient.hpp"

namespace switchyard::nn {

struct NetworkModuleOptions {
  std::string name;  // of the path in checkpoints
  NetworkShape shape;
  NetworkOptions network;  // with input_gradient where backward is asked for one
  std::uint64_t seed = 0;
  Phase phase = Phase::feed_forward;  // that its time counts for

  Cost cost() const;
};

// Layers that every rank has, on its own rows: a feed-forward network, a projection. Its gradient is summed,
// and its update shared out, as nn/network_gradient.hpp says. Collective where it has batch norm.
class NetworkModule final : public Module {
 public:
  NetworkModule(const NetworkModuleOptions& options, comm::DataPlane& data_plane)
      : layers_({options.name}, options.shape, options.network, options.seed),
        gradient_(layers_, data_plane),
        phase_(options.phase) {}

  // x must live until reduce_gradients().
  tensor::Matrix forward(const Pass& pass, tensor::ConstMatrix x) override;
  // d_y, too.
  tensor::Matrix backward(const Pass& pass, tensor::Matrix d_y, Wants wants) override;

  void reduce_gradients(const Pass& pass) override {
    pass.clock.enter(Phase::reduction);
    gradient_.reduce(pass.with(last_->batch), last_->network);
  }
  void gather_updated_values(device::Context& context) override {
    gradient_.gather_updated_values(context);
    values_changed(context);
  }
  void values_changed(device::Context& context) override { layers_.values_changed(context); }
  void add_norms(NormTable& table) override;
  void add_slices(const NormTable& table, std::vector<ParameterSlice>& all) override;
  void add_parameters(std::vector<NamedArray>& all) override;

 private:
  struct Record {
    Batch batch;  // whose rows are x
    NetworkRecord network;
  };
  Network layers_;
  NetworkGradient gradient_;
  Phase phase_;
  index_t unit_ = 0;              // of the table of norms
  const Record* last_ = nullptr;  // of the last backward
};

}  // namespace switchyard::nn
