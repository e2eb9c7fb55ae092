// 3x3 convolution with a border of zeros, [batch norm], [ReLU], [2x2 max pooling], of any number of channels.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/span.hpp"
#include "nn/batch_norm.hpp"
#include "nn/layer.hpp"
#include "ops/conv2d.hpp"
#include "ops/norm_pool.hpp"

namespace switchyard::nn {

struct PaddedConvShape {
  index_t in_channels = 0;
  index_t height = 0;
  index_t width = 0;
  index_t out_channels = 0;
  bool batch_norm = false;  // then the convolution has no bias, which the norm would take away
  bool relu = false;
  bool max_pool = false;
  ops::ImageOrder in_order = ops::ImageOrder::channels_first;
  ops::ImageOrder out_order = ops::ImageOrder::channels_first;

  index_t in_features() const { return in_channels * height * width; }
  ops::NormPoolShape norm_pool() const { return {height, width, out_channels, relu, max_pool, out_order}; }
  index_t out_features() const { return norm_pool().out_features(); }
  index_t weight_count() const { return out_channels * in_channels * 9; }
  index_t multiply_adds() const { return height * width * weight_count(); }
};

// Between two of these, images lie in the order of the library (channels last). A tile is worked through in
// pieces of a few images, whose convolutions stay in the cache until what follows has read them; how many is a
// function of the shape only.
class PaddedConv final : public Layer {
 public:
  // `conv_name` and `norm_name` are parameter prefixes; norm_name is not used without batch norm.
  PaddedConv(const std::string& conv_name, const std::string& norm_name, const PaddedConvShape& shape);

  index_t in_features() const override { return shape_.in_features(); }
  index_t out_features() const override { return shape_.out_features(); }
  index_t multiply_adds() const override { return shape_.multiply_adds(); }
  double activation_floats() const override;
  Span<Parameter> parameters() override { return parameters_; }
  Span<StateArray> state() override { return norm_ ? norm_->state() : Span<StateArray>(); }
  void hold(index_t sets) override {
    if (norm_) norm_->hold(sets);
  }

  bool needs_batch_statistics() const override { return norm_.has_value(); }
  std::unique_ptr<LayerRecord> make_record() const override;
  void begin_forward(const Pass&, LayerRecord&) const override;
  void forward_statistics(const Pass&, index_t tile, LayerRecord&) const override;
  void join_forward_statistics(const Pass&, LayerRecord&) override;
  void forward(const Pass&, index_t tile, LayerRecord&) const override;
  void begin_backward(const Pass&, LayerRecord&) const override;
  void backward_statistics(const Pass&, index_t tile, LayerRecord&) const override;
  void join_backward_statistics(const Pass&, LayerRecord&) override;
  void backward(const Pass&, index_t tile, LayerRecord&, tensor::Matrix d_input, float* partial) const override;

 private:
  struct Record;
  const float* weight(index_t set) const { return parameters_[0].of(set); }
  const float* bias(index_t set) const { return norm_ ? nullptr : parameters_[1].of(set); }
  const Parameter& gamma() const { return parameters_[1]; }
  const Parameter& beta() const { return parameters_[2]; }
  ops::Conv2dShape conv(index_t rows) const;
  ops::NormView norm_view(index_t set) const {
    return norm_ ? norm_->view(set, gamma().of(set)) : ops::NormView();
  }

  // body(rows) for each piece of the rows.
  void for_each_piece(IndexRange rows, const auto& body) const;
  const float* library_input(const Record& record, index_t row) const;
  // Of rows that meet the weights of `set`.
  void convolve(device::Context& context, index_t set, IndexRange piece, Record& record) const;
  void normalise_and_pool(device::Context& context, index_t set, IndexRange piece, Record& record) const;
  ops::NormPoolRows pooled(const Record& record, IndexRange rows, index_t samples) const;
  void input_gradient(device::Context& context, index_t set, IndexRange piece, Record& record,
                      tensor::Matrix d_input) const;

  PaddedConvShape shape_;
  index_t piece_rows_;
  std::optional<BatchNorm> norm_;
  Vector<Parameter> parameters_;  // weight, and bias or gamma and beta
};

}  // namespace switchyard::nn
