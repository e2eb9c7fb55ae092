// y = relu(x W + b), or without the ReLU or the b; and the ReLU alone.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "base/span.hpp"
#include "nn/layer.hpp"
#include "nn/options.hpp"

namespace switchyard::nn {

enum class Activation { none, relu };

// weight is [in, out], so that forward is a plain product and the input gradient reads the same copy
// transposed.
class Dense final : public Layer {
 public:
  struct Options {
    Activation activation = Activation::none;
    bool bias = true;
    GradientRule weight_rule = GradientRule::per_tile;
    // bf16: products read copies of rows and weights in bf16 and accumulate in float32; all that is kept is
    // float32.
    Precision precision = Precision::float32;
  };
  Dense(const std::string& name, index_t in, index_t out, const Options& options);

  index_t in_features() const override { return in_; }
  index_t out_features() const override { return out_; }
  index_t multiply_adds() const override { return in_ * out_; }
  Span<Parameter> parameters() override { return Span(parameters_).first(options_.bias ? 2 : 1); }
  void hold(index_t sets) override;

  std::unique_ptr<LayerRecord> make_record() const override;
  void begin_forward(const Pass&, LayerRecord&) const override;
  void forward(const Pass&, index_t tile, LayerRecord&) const override;
  void backward(const Pass&, index_t tile, LayerRecord&, tensor::Matrix d_input, float* partial) const override;
  void begin_backward(const Pass&, LayerRecord&) const override;
  ProductPair product_rows(const LayerRecord&) const override;
  void whole_rows_gradient(const ProductPair& rows, IndexRange block, float* gradient,
                           Gradient how) const override;
  void values_changed(device::Context&) override;

 private:
  struct Record;
  ProductRows input_rows(const Record& record) const;
  ProductRows d_output_rows(const Record& record) const;
  bool in_bf16() const { return options_.precision == Precision::bf16; }
  void product(const ops::MatmulShape& shape, index_t set, const ProductRows& rows, float* result,
               const float* bias) const;
  Parameter& weight() { return parameters_[0]; }
  const Parameter& weight() const { return parameters_[0]; }
  const float* bias(index_t set) const { return options_.bias ? parameters_[1].of(set) : nullptr; }
  ops::Epilogue epilogue() const;

  index_t in_;
  index_t out_;
  Options options_;
  std::array<Parameter, 2> parameters_;        // weight, and the bias if there is one
  device::Buffer<ops::bfloat16> weight_bf16_;  // [sets, in, out], as far apart as the weights
};

// y = max(x, 0), where what stands before it is looked at too: an expert's hidden vector. (Elsewhere a dense
// layer applies its ReLU itself.)
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
