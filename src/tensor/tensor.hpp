// Shapes, owned arrays, and matrices in the memory of a step.
#pragma once

#include <string>
#include <vector>

#include "base/span.hpp"
#include "device/workspace.hpp"
#include "tensor/view.hpp"

namespace switchyard::tensor {

using Shape = std::vector<index_t>;

index_t element_count(const Shape& shape);
std::string to_string(const Shape& shape);  // "1352 x 512"

// Of one sample as a row of floats: channel, then height, then width.
struct SampleShape {
  index_t channels = 1;
  index_t height = 1;  // also: patches
  index_t width = 1;   // also: numbers in a patch

  constexpr index_t features() const { return channels * height * width; }
  constexpr bool operator==(const SampleShape&) const = default;
};

// An owned float32 array on one device, zeroed at first. Row-major.
class Tensor {
 public:
  Tensor() = default;
  explicit Tensor(Shape shape, device::MemoryKind memory = device::MemoryKind::host)
      : shape_(std::move(shape)), buffer_(element_count(shape_), memory) {}

  const Shape& shape() const { return shape_; }
  index_t count() const { return buffer_.count(); }
  float* data() { return buffer_.data(); }
  const float* data() const { return buffer_.data(); }
  Span<float> span() { return buffer_.span(); }
  Span<const float> span() const { return buffer_.span(); }
  // The first dimension as rows, all others as columns.
  Matrix matrix() { return {data(), rows(), rows() == 0 ? 0 : count() / rows()}; }
  ConstMatrix matrix() const { return {data(), rows(), rows() == 0 ? 0 : count() / rows()}; }

 private:
  index_t rows() const { return shape_.empty() ? 1 : shape_[0]; }
  Shape shape_;
  device::Buffer<float> buffer_;
};

// [rows, cols], side by side, until the workspace is reset; holds anything at first.
inline Matrix allocate_matrix(device::Workspace& workspace, index_t rows, index_t cols) {
  return {workspace.allocate<float>(rows * cols).data(), rows, cols};
}

}  // namespace switchyard::tensor
