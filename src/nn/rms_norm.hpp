// Root mean square norm of rows, with a weight for each column.
#pragma once

#include <string>

#include "nn/module.hpp"
#include "nn/trunk.hpp"

namespace switchyard::nn {

// ops/rms_norm.hpp has the formula. Its weight, "SCOPE/weight", is one of the trunk.
class RmsNorm final : public Module {
 public:
  static constexpr float epsilon = 1e-5F;

  RmsNorm(Trunk& trunk, const std::string& scope, index_t width);
  static Cost cost(index_t width);

  // x must live until backward.
  tensor::Matrix forward(const Pass& pass, tensor::ConstMatrix x) override;
  // d_x lies where d_y did.
  tensor::Matrix backward(const Pass& pass, tensor::Matrix d_y, Wants wants) override;

 private:
  struct Record {
    tensor::ConstMatrix x;
    Span<float> inverse_rms;  // [N]
  };
  Trunk* trunk_;
  index_t weight_;
};

}  // namespace switchyard::nn
