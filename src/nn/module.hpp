// A part of a model that works on all rows of a rank.
#pragma once

#include <vector>

#include "nn/cost.hpp"
#include "nn/parameter_slice.hpp"
#include "nn/pass.hpp"
#include "nn/trace.hpp"
#include "tensor/view.hpp"

namespace switchyard::nn {

enum class Wants { nothing, input_gradient };

// Modules make trees: a block of a model calls those it is made of. What forward must remember is a record on
// pass.trace, which backward takes off; results are the step's memory. Collective over the batch's ranks where
// a module says so.
class Module {
 public:
  virtual ~Module() = default;
  Module(const Module&) = delete;
  Module& operator=(const Module&) = delete;

  // x: [N, in] to [N, out], N = pass.tiles().local_rows().
  virtual tensor::Matrix forward(const Pass& pass, tensor::ConstMatrix x) = 0;
  // The gradients of its parameters, for the batch's sums; and that of x, without data if nobody wants it. d_y
  // may be overwritten.
  virtual tensor::Matrix backward(const Pass& pass, tensor::Matrix d_y, Wants wants) = 0;

  // What a module has of its own, beside the trunk's parameters (nn/trunk.hpp): it has nothing, or all of
  // these. As model::Model has them of the whole model.
  virtual void reduce_gradients(const Pass& /*pass*/) {}
  virtual void gather_updated_values(device::Context&) {}
  virtual void values_changed(device::Context&) {}
  // As units of the table of norms; what this rank updates and holds of them is added behind what is there.
  virtual void add_norms(NormTable&) {}
  virtual void add_slices(const NormTable&, std::vector<ParameterSlice>&) {}
  virtual void add_parameters(std::vector<NamedArray>&) {}
  virtual void add_state(std::vector<NamedArray>&) {}

 protected:
  Module() = default;
};

}  // namespace switchyard::nn
