// y = max(x, 0), where what stands before it is looked at too: an expert's hidden vector. (Elsewhere a dense
// layer applies its ReLU itself.)
#pragma once

#include "nn/layer.hpp"

#include "base/span.hpp"

namespace switchyard::nn {

class Relu final : public Layer {
 public:
  explicit Relu(index_t features) : features_(features) {}

  index_t in_features() const override { return features_; }
  index_t out_features() const override { return features_; }
  Span<Parameter> parameters() override { return {}; }

  void begin_forward(const Pass&, LayerRecord&) const override;
  void forward(const Pass&, index_t tile, LayerRecord&) const override;
  void backward(const Pass&, index_t tile, LayerRecord&, tensor::Matrix d_input, float* partial) const override;

 private:
  index_t features_;
};

}  // namespace switchyard::nn
