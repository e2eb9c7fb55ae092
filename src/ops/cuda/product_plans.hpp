// What was decided for each product on a GPU, and kept.
#pragma once

#include <deque>
#include <map>
#include <string>

#include "device/context.hpp"
#include "ops/cuda/descriptors.hpp"
#include "ops/gpu_products.hpp"

namespace switchyard::ops::cuda {

// How the products of a key are computed. Descriptors are of the library's alone.
struct ProductPlan {
  explicit ProductPlan(const ProductKey& key_in) : key(key_in), descriptors(key_in) {}

  ProductKey key;
  bool by_library = false;
  Algorithm algorithm{};
  std::string why;  // an algorithm was passed over, or none was taken
  Descriptors descriptors;
};

// The plans of a thread and its GPU, in the order in which they were asked for. A plan is chosen when its key
// is met first: the first algorithm of the library's own choice that passes the probe, else our own kernel.
// That blocks; it is not counted among the launches, products and waits of the context.
class ProductPlans {
 public:
  static ProductPlans& of_this_thread();

  // Stays where it is.
  ProductPlan& plan(device::Context& context, const ProductKey& key);
  cublasLtHandle_t handle() const { return handle_.get(); }
  const std::deque<ProductPlan>& all() const { return plans_; }

  Arithmetic of_floats = Arithmetic::float32;

 private:
  ProductPlans() : handle_(open_cublas_handle()) {}
  ProductPlan& add(ProductPlan plan);
  void choose(device::Context& context, ProductPlan& plan);

  CublasHandle handle_;
  std::deque<ProductPlan> plans_;
  std::map<ProductKey, ProductPlan*> plan_of_;
};

}  // namespace switchyard::ops::cuda
