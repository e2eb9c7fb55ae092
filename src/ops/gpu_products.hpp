// How products on a GPU are computed: by which library, and what was decided for each shape.
//
// A GPU's library chooses an algorithm by the whole shape, and so the bits of a row by how many rows there are.
// We let it choose once for all numbers of rows, try what it chose (ops/cuda/product_probe.hpp), and use a
// kernel of ours (ops/tile_product.hpp) where nothing of it holds.
#pragma once

#include <string>
#include <vector>

#include "device/context.hpp"

namespace switchyard::ops {

struct GpuProductLibrary {
  std::string path, version;  // empty if there is none
  std::string why_none;       // not built, or what was tried
};
// Looks for it; never throws for want of it.
GpuProductLibrary gpu_product_library();

// Of a context of a GPU, for as long as its thread lives.
struct ProductChoice {
  std::string products;  // "float32, k 169, n 64, B transposed, alignment 16 16 16"
  bool by_library = false;
  std::string computed_by;  // "algorithm 66, tile 20, stages 8", or "own kernel"
  std::string why;          // what was passed over, or why there is none; may be empty
};
// In the order in which products were met first. Empty on a CPU.
std::vector<ProductChoice> product_choices(const device::Context&);

// What the bits of products depend on besides the program, where the context computes. Each rank decides for
// itself what computes its products: with the same of these it decides alike.
struct ProductIdentity {
  std::string library;       // "oneDNN 2.7.2", "cublasLt 13.1.0"
  std::string instructions;  // "avx512_core_amx", the text of the GPU
};
ProductIdentity product_identity(const device::Context&);

// What the library makes of float32 from here on: the products of float32, or faster ones of operands that are
// cut to 10 bits (TF32). Products of our own kernel stay float32.
enum class FloatProducts { float32, tf32 };
void set_float_products(const device::Context&, FloatProducts);

}  // namespace switchyard::ops
