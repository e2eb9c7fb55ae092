#include "ops/conv2d.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <utility>

#include "base/contract.hpp"
#include "device/buffer.hpp"
#include "ops/conv2d_columns.hpp"
#include "ops/counted.hpp"
#include "ops/depthwise.hpp"
#include "ops/detail/onednn.hpp"
#include "ops/detail/plan_cache.hpp"

namespace switchyard::ops {
namespace {

enum class Pass : index_t { forward, backward_data, backward_weights };

struct Key {
  Pass pass = Pass::forward;
  bool bias = false;  // added, or its gradient wanted
  Conv2dShape shape;
  bool operator==(const Key&) const = default;
};

struct KeyHash {
  std::size_t operator()(const Key& key) const {
    const Conv2dShape& s = key.shape;
    return detail::hash_of({static_cast<index_t>(key.pass) * 2 + (key.bias ? 1 : 0), s.batch, s.in_channels,
                            s.height, s.width, s.out_channels, s.kernel_height, s.kernel_width, s.stride_height,
                            s.stride_width, s.padding_height, s.padding_width});
  }
};

std::string describe(Pass pass, const Conv2dShape& s) {
  constexpr const char* names[] = {"forward", "backward, data", "backward, weights"};
  return fmt::format(
      "the convolution ({}) of {} images {} x {} x {} with {} kernels {} x {} (stride {} x {}, padding {} x "
      "{})",
      names[as_size(pass)], s.batch, s.in_channels, s.height, s.width, s.out_channels, s.kernel_height,
      s.kernel_width, s.stride_height, s.stride_width, s.padding_height, s.padding_width);
}

void check_shape(Pass pass, const Conv2dShape& s) {
  SY_EXPECTS(s.batch >= 0 && s.in_channels > 0 && s.out_channels > 0 && s.kernel_height > 0 &&
                 s.kernel_width > 0 && s.stride_height > 0 && s.stride_width > 0 && s.padding_height >= 0 &&
                 s.padding_width >= 0,
             "a size of {} is out of range", describe(pass, s));
  SY_EXPECTS(!s.depthwise, "{} is depthwise", describe(pass, s));
  SY_EXPECTS(
      s.height + 2 * s.padding_height >= s.kernel_height && s.width + 2 * s.padding_width >= s.kernel_width,
      "the kernel is larger than the padded image in {}", describe(pass, s));
}

// Copies weights between the caller's dense layout and the one that an operation wants. Where the two are the
// same, nothing is copied and the caller's memory is used.
class Reorder {
 public:
  Reorder() = default;
  Reorder(const dnnl_memory_desc_t& from, const dnnl_memory_desc_t& to, const std::string& subject) {
    if (dnnl_memory_desc_equal(&from, &to) != 0) return;
    dnnl_engine_t engine = detail::DnnlThread::of_this_thread().engine();
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

// The array layouts of a convolution. oneDNN chooses that of the weights.
struct Layouts {
  explicit Layouts(const Conv2dShape& s)
      : x(detail::array_layout({s.batch, s.in_channels, s.height, s.width}, dnnl_nhwc)),
        weight(weight_layout(s, dnnl_format_tag_any)),
        dense_weight(weight_layout(s, dnnl_abcd)),
        bias(detail::array_layout({s.out_channels}, dnnl_a)),
        y(detail::array_layout({s.batch, s.out_channels, s.out_height(), s.out_width()}, dnnl_nhwc)),
        strides{s.stride_height, s.stride_width},
        padding{s.padding_height, s.padding_width} {}

  static dnnl_memory_desc_t weight_layout(const Conv2dShape& s, dnnl_format_tag_t tag) {
    return detail::array_layout({s.out_channels, s.in_channels, s.kernel_height, s.kernel_width}, tag);
  }

  dnnl_memory_desc_t x, weight, dense_weight, bias, y;
  dnnl_dims_t strides, padding;
};

detail::DnnlPrimitiveDesc describe_pass(const Key& key, const Layouts& l, const std::string& subject) {
  dnnl_convolution_desc_t operation;
  const dnnl_memory_desc_t* const bias = key.bias ? &l.bias : nullptr;
  detail::DnnlPrimitiveDesc forward;  // the hint of a backward pass
  const auto plan = [&](dnnl_status_t status) {
    detail::check_dnnl(status, "plan", subject);
    return detail::describe_operation(&operation, detail::make_attributes().get(), forward.get(), subject);
  };
  const auto plan_forward = [&](const dnnl_memory_desc_t* with_bias) {
    return plan(dnnl_convolution_forward_desc_init(&operation, dnnl_forward_training, dnnl_convolution_direct,
                                                   &l.x, &l.weight, with_bias, &l.y, l.strides, l.padding,
                                                   l.padding));
  };
  if (key.pass == Pass::forward) return plan_forward(bias);
  forward = plan_forward(nullptr);
  if (key.pass == Pass::backward_data) {
    return plan(dnnl_convolution_backward_data_desc_init(&operation, dnnl_convolution_direct, &l.x, &l.weight,
                                                         &l.y, l.strides, l.padding, l.padding));
  }
  return plan(dnnl_convolution_backward_weights_desc_init(&operation, dnnl_convolution_direct, &l.x, &l.weight,
                                                          bias, &l.y, l.strides, l.padding, l.padding));
}

struct Plan {
  detail::DnnlOperation operation;
  Reorder weight;  // into the operation, or out of it
};

Plan build(const Key& key) {
  const std::string subject = describe(key.pass, key.shape);
  const Layouts layouts(key.shape);
  detail::DnnlPrimitiveDesc description = describe_pass(key, layouts, subject);
  const auto operation = [&](std::initializer_list<int> arguments) {
    return detail::DnnlOperation(std::move(description), arguments, subject);
  };
  Plan plan;
  switch (key.pass) {
    case Pass::forward:
      plan.operation = operation({DNNL_ARG_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_DST, key.bias ? DNNL_ARG_BIAS : 0});
      plan.weight = {layouts.dense_weight, plan.operation.layout(DNNL_ARG_WEIGHTS), subject};
      break;
    case Pass::backward_data:
      plan.operation = operation({DNNL_ARG_DIFF_DST, DNNL_ARG_WEIGHTS, DNNL_ARG_DIFF_SRC});
      plan.weight = {layouts.dense_weight, plan.operation.layout(DNNL_ARG_WEIGHTS), subject};
      break;
    case Pass::backward_weights:
      plan.operation = operation(
          {DNNL_ARG_SRC, DNNL_ARG_DIFF_DST, DNNL_ARG_DIFF_WEIGHTS, key.bias ? DNNL_ARG_DIFF_BIAS : 0});
      plan.weight = {plan.operation.layout(DNNL_ARG_DIFF_WEIGHTS), layouts.dense_weight, subject};
      break;
  }
  return plan;
}

// A 1x1 convolution of every stride-th pixel is one of those pixels side by side. The library has a way of its
// own for it, which writes behind its memory where channels are few (oneDNN 2.6, AVX2: 3 channels, stride 2).
class Pixels {
 public:
  explicit Pixels(const Conv2dShape& shape) : s_(shape) {
    is_some_ = s_.kernel_height == 1 && s_.kernel_width == 1 && s_.padding_height == 0 &&
               s_.padding_width == 0 && (s_.stride_height > 1 || s_.stride_width > 1);
  }

  // What the library convolves.
  Conv2dShape shape() const {
    if (!is_some_) return s_;
    Conv2dShape unit = s_;
    unit.height = s_.out_height();
    unit.width = s_.out_width();
    unit.stride_height = unit.stride_width = 1;
    return unit;
  }
  // Of x, which stays where it is if all its pixels are convolved.
  const float* taken(const float* x) const {
    if (!is_some_) return x;
    float* to = room();
    for_each([&](index_t pixel) { to = std::copy_n(x + pixel, s_.in_channels, to); });
    return room();
  }
  // Where their gradient is written; put() then brings it into d_x, which is 0 elsewhere.
  float* place(float* d_x) const { return is_some_ ? room() : d_x; }
  void put(float* d_x) const {
    if (!is_some_) return;
    std::fill_n(d_x, s_.in_count(), 0.0F);
    const float* from = room();
    for_each([&](index_t pixel) {
      std::copy_n(from, s_.in_channels, d_x + pixel);
      from += s_.in_channels;
    });
  }

 private:
  float* room() const {
    static thread_local Vector<float> pixels;
    const auto count = as_size(shape().in_count());
    if (pixels.size() < count) pixels.resize(count);
    return pixels.data();
  }
  template <class Body>
  void for_each(const Body& body) const {
    for (index_t n = 0; n < s_.batch; ++n) {
      for (index_t y = 0; y < s_.height; y += s_.stride_height) {
        for (index_t x = 0; x < s_.width; x += s_.stride_width)
          body(((n * s_.height + y) * s_.width + x) * s_.in_channels);
      }
    }
  }

  Conv2dShape s_;
  bool is_some_;
};

Plan& plan_of(const Key& key) {
  static thread_local detail::PlanCache<Key, Plan, KeyHash> cache;
  return cache.plan(key, build);
}

}  // namespace

void conv2d_forward(const Conv2dShape& shape, const float* x, const float* weight, const float* bias,
                    float* y) {
  check_shape(Pass::forward, shape);
  if (shape.batch == 0) return;
  add_multiply_adds(shape.multiply_adds());
  const Pixels pixels(shape);
  Plan& plan = plan_of({Pass::forward, bias != nullptr, pixels.shape()});
  plan.operation.run({pixels.taken(x), plan.weight.in(weight), y, bias});
}

void conv2d_backward_data(const Conv2dShape& shape, const float* d_y, const float* weight, float* d_x) {
  check_shape(Pass::backward_data, shape);
  if (shape.batch == 0) return;
  add_multiply_adds(shape.multiply_adds());
  const Pixels pixels(shape);
  Plan& plan = plan_of({Pass::backward_data, false, pixels.shape()});
  plan.operation.run({d_y, plan.weight.in(weight), pixels.place(d_x)});
  pixels.put(d_x);
}

void conv2d_backward_weights(const Conv2dShape& shape, const float* x, const float* d_y, float* d_weight,
                             float* d_bias) {
  check_shape(Pass::backward_weights, shape);
  if (shape.batch == 0) {
    std::fill_n(d_weight, shape.weight_count(), 0.0F);
    if (d_bias != nullptr) std::fill_n(d_bias, shape.out_channels, 0.0F);
    return;
  }
  add_multiply_adds(shape.multiply_adds());
  const Pixels pixels(shape);
  Plan& plan = plan_of({Pass::backward_weights, d_bias != nullptr, pixels.shape()});
  plan.operation.run({pixels.taken(x), d_y, plan.weight.place(d_weight), d_bias});
  plan.weight.out(d_weight);
}

void conv2d_forward(device::Context& context, const Conv2dShape& shape, const float* x, const float* weight,
                    const float* bias, float* y) {
  if (shape.depthwise) return depthwise_forward(context, shape, x, weight, bias, y);
  if (context.device() == device::DeviceKind::cpu) return conv2d_forward(shape, x, weight, bias, y);
  check_shape(Pass::forward, shape);
  conv2d_forward_by_columns(context, shape, x, weight, bias, y);
}

void conv2d_backward_data(device::Context& context, const Conv2dShape& shape, const float* d_y,
                          const float* weight, float* d_x) {
  if (shape.depthwise) return depthwise_backward_data(context, shape, d_y, weight, d_x);
  if (context.device() == device::DeviceKind::cpu) return conv2d_backward_data(shape, d_y, weight, d_x);
  check_shape(Pass::backward_data, shape);
  conv2d_backward_data_by_columns(context, shape, d_y, weight, d_x);
}

void conv2d_backward_weights_of_tiles(device::Context& context, const Conv2dShape& shape, const TileRows& rows,
                                      const float* x, const float* d_y, tensor::Matrix gradients) {
  const index_t weights = shape.weight_count();
  SY_EXPECTS(gradients.rows == rows.tiles.count &&
                 (gradients.cols == weights || gradients.cols == weights + shape.out_channels),
             "{} x {} gradients of {} tiles, {} weights and {} biases", gradients.rows, gradients.cols,
             rows.tiles.count, weights, shape.out_channels);
  if (shape.depthwise) return depthwise_weight_gradients(context, shape, rows, x, d_y, gradients);
  if (context.device() == device::DeviceKind::cuda)
    return conv2d_weight_gradients_by_columns(context, shape, rows, x, d_y, gradients);
  Conv2dShape one = shape;
  one.batch = 1;
  for (index_t t = 0; t < rows.tiles.count; ++t) {
    const Tile& tile = rows.tiles[t];
    float* const gradient = gradients.row(t);
    Conv2dShape of_tile = shape;
    of_tile.batch = std::clamp<index_t>(tile.rows - rows.first, 0, rows.rows);
    if (of_tile.batch == 0) {
      std::fill_n(gradient, gradients.cols, 0.0F);
      continue;
    }
    const index_t first = tile.first_row + rows.first;
    conv2d_backward_weights(of_tile, x + first * one.in_count(), d_y + first * one.out_count(), gradient,
                            gradients.cols > weights ? gradient + weights : nullptr);
  }
}

}  // namespace switchyard::ops
