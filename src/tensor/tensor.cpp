#include "tensor/tensor.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace switchyard::tensor {

index_t element_count(const Shape& shape) {
  index_t count = 1;
  for (const index_t extent : shape) count *= extent;
  return count;
}

std::string to_string(const Shape& shape) {
  return shape.empty() ? "scalar" : fmt::format("{}", fmt::join(shape, " x "));
}

}  // namespace switchyard::tensor
