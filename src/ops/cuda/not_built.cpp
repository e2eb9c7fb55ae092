// Products on a GPU in a build without CUDA.
#include "base/error.hpp"
#include "ops/cuda/products.hpp"
#include "ops/gpu_products.hpp"

namespace switchyard::ops {
namespace cuda {
namespace {

[[noreturn]] void not_built() {
  throw NotBuilt(
      "cannot multiply matrices on a GPU (this build has no CUDA); set run.device = cpu, or configure with "
      "SWITCHYARD_CUDA=ON");
}

}  // namespace

template <class Number>
void multiply(device::Context&, const MatmulShape&, const Number*, const Number*, float*, const float*) {
  not_built();
}

template <class Number>
void multiply_sets(device::Context&, const SetProduct<Number>&, Span<const SetRows>, RowSets) {
  not_built();
}

template <class Number>
void set_gradients(device::Context&, const SetGradients<Number>&, Span<const SetRows>) {
  not_built();
}
template void set_gradients(device::Context&, const SetGradients<float>&, Span<const SetRows>);
template void set_gradients(device::Context&, const SetGradients<bfloat16>&, Span<const SetRows>);

#define SY_GPU_PRODUCTS_OF(Number)                                                                   \
  template void multiply(device::Context&, const MatmulShape&, const Number*, const Number*, float*, \
                         const float*);                                                              \
  template void multiply_sets(device::Context&, const SetProduct<Number>&, Span<const SetRows>, RowSets);
SY_GPU_PRODUCTS_OF(float)
SY_GPU_PRODUCTS_OF(bfloat16)
SY_GPU_PRODUCTS_OF(std::int8_t)
#undef SY_GPU_PRODUCTS_OF

}  // namespace cuda

// Without a context of a GPU nothing was decided for one.
GpuProductLibrary gpu_product_library() { return {"", "", "this build has no CUDA"}; }
std::vector<ProductChoice> product_choices(const device::Context&) { return {}; }
ProductIdentity product_identity(const device::Context&) {
  return {product_library(), product_instruction_set()};
}
void set_float_products(const device::Context&, FloatProducts) {}

}  // namespace switchyard::ops
