// Adam and SGD over the parameter slices that this rank owns.
#pragma once

#include <string>
#include <vector>

#include "config/config.hpp"
#include "device/context.hpp"
#include "nn/network_gradient.hpp"

namespace switchyard::optim {

// The factor for all gradients that brings their global norm down to max_norm; 1 if it is smaller, or max_norm
// is 0.
double clip_scale(double norm, double max_norm);

// Moments live beside the slices, so the optimiser is sharded exactly as the updates are. Every update is
// elementwise: bits do not depend on how slices are cut.
class Optimizer {
 public:
  Optimizer(const config::Optim& options, std::vector<nn::ParameterSlice> slices);

  // Names of the state arrays of this optimiser: {"first_moment", "second_moment"}, or {"velocity"}, or none.
  std::vector<std::string> state_names() const;
  // One array per slice and name, in the order of slices() and state_names(); same element count as the slice.
  std::span<float> state(std::size_t slice, std::size_t name) {
    return states_[slice * state_names_ + name].span();
  }
  const std::vector<nn::ParameterSlice>& slices() const { return slices_; }

  // step counts from 0.
  void update(device::Context& context, double learning_rate, double gradient_scale, index_t step);

 private:
  config::Optim options_;
  std::vector<nn::ParameterSlice> slices_;
  std::size_t state_names_ = 0;
  std::vector<device::Buffer<float>> states_;
};

}  // namespace switchyard::optim
