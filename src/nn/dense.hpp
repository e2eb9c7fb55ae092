// y = relu(x W + b), or without the ReLU.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "nn/layer.hpp"

namespace switchyard::nn {

enum class Activation { none, relu };

// weight is [in, out], so that forward is a plain product and the input gradient reads the same copy
// transposed.
class Dense final : public Layer {
 public:
  Dense(const std::string& name, index_t in, index_t out, Activation activation, GradientRule weight_rule,
        std::uint64_t seed);

  index_t in_features() const override { return in_; }
  index_t out_features() const override { return out_; }
  std::span<Parameter> parameters() override { return parameters_; }

  void begin_forward(device::Workspace&, const BatchTiles&, Mode, LayerRecord&) const override;
  void forward(device::Context&, const BatchTiles&, index_t tile, LayerRecord&) const override;
  void backward(device::Context&, const BatchTiles&, index_t tile, LayerRecord&, tensor::Matrix d_input,
                float* partial) const override;
  void whole_rows_gradient(tensor::ConstMatrix input, tensor::ConstMatrix d_output, IndexRange block,
                           float* gradient) const override;

 private:
  const float* weight() const { return parameters_[0].value.data(); }
  const float* bias() const { return parameters_[1].value.data(); }

  index_t in_;
  index_t out_;
  Activation activation_;
  std::array<Parameter, 2> parameters_;  // weight, bias
};

}  // namespace switchyard::nn
