#include "ops/conv2d.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <string>

#include "base/contract.hpp"
#include "device/buffer.hpp"
#include "ops/detail/onednn.hpp"

namespace switchyard::ops {
namespace {

std::string describe(const char* pass, const Conv2dShape& s) {
  return fmt::format(
      "the convolution ({}) of {} images {} x {} x {} with {} kernels {} x {} (stride {} x {}, padding {} x "
      "{})",
      pass, s.batch, s.in_channels, s.height, s.width, s.out_channels, s.kernel_height, s.kernel_width,
      s.stride_height, s.stride_width, s.padding_height, s.padding_width);
}

void check_shape(const Conv2dShape& s) {
  SY_EXPECTS(s.batch >= 0 && s.in_channels > 0 && s.out_channels > 0 && s.kernel_height > 0 &&
                 s.kernel_width > 0 && s.stride_height > 0 && s.stride_width > 0 && s.padding_height >= 0 &&
                 s.padding_width >= 0,
             "a size of {} is out of range", describe("any pass", s));
  SY_EXPECTS(
      s.height + 2 * s.padding_height >= s.kernel_height && s.width + 2 * s.padding_width >= s.kernel_width,
      "the kernel is larger than the padded image in {}", describe("any pass", s));
}

// Copies an array between the caller's dense layout and the one that an operation wants. Where the two are the
// same, nothing is copied and the caller's memory is used.
class Reorder {
 public:
  Reorder() = default;
  Reorder(const dnnl_memory_desc_t& from, const dnnl_memory_desc_t& to, const std::string& subject) {
    if (dnnl_memory_desc_equal(&from, &to) != 0) return;
    const dnnl_engine_t engine = detail::DnnlThread::of_this_thread().engine();
    const detail::DnnlAttributes attributes = detail::make_attributes();
    dnnl_primitive_desc_t description = nullptr;
    detail::check_dnnl(
        dnnl_reorder_primitive_desc_create(&description, &from, engine, &to, engine, attributes.get()),
        "plan a reorder for", subject);
    copy_ =
        detail::DnnlOperation(detail::DnnlPrimitiveDesc(description), {DNNL_ARG_FROM, DNNL_ARG_TO}, subject);
    const auto bytes = std::max(dnnl_memory_desc_get_size(&from), dnnl_memory_desc_get_size(&to));
    room_ = device::Buffer<std::byte>(static_cast<index_t>(bytes));
  }

  // Before an operation: the data in its layout.
  const void* in(const float* data) {
    if (!copy_) return data;
    copy_.run({data, room_.data()});
    return room_.data();
  }
  // Where an operation writes; out() then brings it to the caller.
  void* place(float* data) { return copy_ ? static_cast<void*>(room_.data()) : data; }
  void out(float* data) {
    if (copy_) copy_.run({room_.data(), data});
  }

 private:
  detail::DnnlOperation copy_;
  device::Buffer<std::byte> room_;
};

// The array layouts of a convolution: free for oneDNN to choose, or as the caller has them.
struct Layouts {
  dnnl_memory_desc_t x, weight, bias, y;
};
using MakeLayout = dnnl_memory_desc_t (*)(std::initializer_list<index_t>);
Layouts make_layouts(const Conv2dShape& s, MakeLayout make) {
  return {make({s.batch, s.in_channels, s.height, s.width}),
          make({s.out_channels, s.in_channels, s.kernel_height, s.kernel_width}),
          detail::dense_layout({s.out_channels}),
          make({s.batch, s.out_channels, s.out_height(), s.out_width()})};
}

struct Window {
  dnnl_dims_t strides, padding;
};

detail::DnnlPrimitiveDesc describe_forward(const Layouts& any, const Window& window,
                                           const std::string& subject) {
  dnnl_convolution_desc_t operation;
  detail::check_dnnl(dnnl_convolution_forward_desc_init(&operation, dnnl_forward_training,
                                                        dnnl_convolution_direct, &any.x, &any.weight, &any.bias,
                                                        &any.y, window.strides, window.padding, window.padding),
                     "plan", subject);
  return detail::describe_operation(&operation, detail::make_attributes().get(), nullptr, subject);
}

detail::DnnlPrimitiveDesc describe_backward_data(const Layouts& any, const Window& window,
                                                 const_dnnl_primitive_desc_t forward,
                                                 const std::string& subject) {
  dnnl_convolution_desc_t operation;
  detail::check_dnnl(
      dnnl_convolution_backward_data_desc_init(&operation, dnnl_convolution_direct, &any.x, &any.weight, &any.y,
                                               window.strides, window.padding, window.padding),
      "plan", subject);
  return detail::describe_operation(&operation, detail::make_attributes().get(), forward, subject);
}

detail::DnnlPrimitiveDesc describe_backward_weights(const Layouts& any, const Window& window,
                                                    const_dnnl_primitive_desc_t forward,
                                                    const std::string& subject) {
  dnnl_convolution_desc_t operation;
  detail::check_dnnl(dnnl_convolution_backward_weights_desc_init(&operation, dnnl_convolution_direct, &any.x,
                                                                 &any.weight, &any.bias, &any.y, window.strides,
                                                                 window.padding, window.padding),
                     "plan", subject);
  return detail::describe_operation(&operation, detail::make_attributes().get(), forward, subject);
}

}  // namespace

struct Conv2d::Plan {
  explicit Plan(const Conv2dShape& shape_in);
  void build_forward(const Layouts& any, const Layouts& dense, const Window& window);
  void build_backward(const Layouts& any, const Layouts& dense, const Window& window);

  Conv2dShape shape;
  bool weights_set = false;
  device::Buffer<float> bias;

  detail::DnnlOperation forward;
  Reorder forward_x, forward_weight, forward_y;
  const void* forward_weight_data = nullptr;  // in forward's layout
  detail::DnnlOperation backward_data;
  Reorder data_d_y, data_weight, data_d_x;
  const void* data_weight_data = nullptr;  // in backward_data's layout
  detail::DnnlOperation backward_weights;
  Reorder weights_x, weights_d_y, weights_d_weight;
  // The dense weights, kept where an operation reads them as they are.
  device::Buffer<float> dense_weight;
};

Conv2d::Plan::Plan(const Conv2dShape& shape_in)
    : shape(shape_in), bias(shape.out_channels), dense_weight(shape.weight_count()) {
  if (shape.batch == 0) return;
  const Layouts any = make_layouts(shape, detail::any_layout);
  const Layouts dense = make_layouts(shape, detail::dense_layout);
  const Window window{{shape.stride_height, shape.stride_width}, {shape.padding_height, shape.padding_width}};
  build_forward(any, dense, window);
  build_backward(any, dense, window);
}

void Conv2d::Plan::build_forward(const Layouts& any, const Layouts& dense, const Window& window) {
  const std::string subject = describe("forward", shape);
  forward = {describe_forward(any, window, subject),
             {DNNL_ARG_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_BIAS, DNNL_ARG_DST},
             subject};
  forward_x = {dense.x, forward.layout(DNNL_ARG_SRC), subject};
  forward_weight = {dense.weight, forward.layout(DNNL_ARG_WEIGHTS), subject};
  forward_y = {forward.layout(DNNL_ARG_DST), dense.y, subject};
}

void Conv2d::Plan::build_backward(const Layouts& any, const Layouts& dense, const Window& window) {
  const std::string data = describe("backward, data", shape);
  backward_data = {describe_backward_data(any, window, forward.description(), data),
                   {DNNL_ARG_DIFF_DST, DNNL_ARG_WEIGHTS, DNNL_ARG_DIFF_SRC},
                   data};
  data_d_y = {dense.y, backward_data.layout(DNNL_ARG_DIFF_DST), data};
  data_weight = {dense.weight, backward_data.layout(DNNL_ARG_WEIGHTS), data};
  data_d_x = {backward_data.layout(DNNL_ARG_DIFF_SRC), dense.x, data};

  const std::string weights = describe("backward, weights", shape);
  backward_weights = {describe_backward_weights(any, window, forward.description(), weights),
                      {DNNL_ARG_SRC, DNNL_ARG_DIFF_DST, DNNL_ARG_DIFF_WEIGHTS, DNNL_ARG_DIFF_BIAS},
                      weights};
  weights_x = {dense.x, backward_weights.layout(DNNL_ARG_SRC), weights};
  weights_d_y = {dense.y, backward_weights.layout(DNNL_ARG_DIFF_DST), weights};
  weights_d_weight = {backward_weights.layout(DNNL_ARG_DIFF_WEIGHTS), dense.weight, weights};
}

Conv2d::Conv2d(const Conv2dShape& shape) {
  check_shape(shape);
  plan_ = std::make_unique<Plan>(shape);
}
Conv2d::~Conv2d() = default;
Conv2d::Conv2d(Conv2d&&) noexcept = default;
Conv2d& Conv2d::operator=(Conv2d&&) noexcept = default;

const Conv2dShape& Conv2d::shape() const { return plan_->shape; }

void Conv2d::set_weights(const float* weight, const float* bias) {
  Plan& plan = *plan_;
  std::copy_n(weight, plan.shape.weight_count(), plan.dense_weight.data());
  std::copy_n(bias, plan.shape.out_channels, plan.bias.data());
  plan.weights_set = true;
  if (plan.shape.batch == 0) return;
  plan.forward_weight_data = plan.forward_weight.in(plan.dense_weight.data());
  plan.data_weight_data = plan.data_weight.in(plan.dense_weight.data());
}

void Conv2d::forward(const float* x, float* y) {
  Plan& plan = *plan_;
  SY_EXPECTS(plan.weights_set, "set_weights() comes before forward()");
  if (plan.shape.batch == 0) return;
  plan.forward.run({plan.forward_x.in(x), plan.forward_weight_data, plan.bias.data(), plan.forward_y.place(y)});
  plan.forward_y.out(y);
}

void Conv2d::backward_data(const float* d_y, float* d_x) {
  Plan& plan = *plan_;
  SY_EXPECTS(plan.weights_set, "set_weights() comes before backward_data()");
  if (plan.shape.batch == 0) return;
  plan.backward_data.run({plan.data_d_y.in(d_y), plan.data_weight_data, plan.data_d_x.place(d_x)});
  plan.data_d_x.out(d_x);
}

void Conv2d::backward_weights(const float* x, const float* d_y, float* d_weight, float* d_bias) {
  Plan& plan = *plan_;
  if (plan.shape.batch == 0) {
    std::fill_n(d_weight, plan.shape.weight_count(), 0.0F);
    std::fill_n(d_bias, plan.shape.out_channels, 0.0F);
    return;
  }
  plan.backward_weights.run(
      {plan.weights_x.in(x), plan.weights_d_y.in(d_y), plan.weights_d_weight.place(d_weight), d_bias});
  plan.weights_d_weight.out(d_weight);
}

}  // namespace switchyard::ops
