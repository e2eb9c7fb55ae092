// The algorithms of the simulated cublasLt: three, which differ in the order of a sum. An algorithm is for one
// kind of product, as the real library's are of use for one: it is refused for another.
#pragma once

#include "objects.hpp"

namespace simgpu::cublaslt {

struct Shapes {
  const Operation* operation;
  const Layout *a, *b, *c, *d;
};
// Why these do not fit together; empty if they do.
std::string mistake_in(const Shapes& shapes);

enum class Order : std::uint64_t { ascending = 1, descending = 2, even_then_odd = 3 };

struct Choice {
  Order order = Order::ascending;
  std::array<std::uint64_t, 4> alignment = {};  // that was declared, of A, B, C, D
};
// Why the algorithm is none for this product; empty if it is one.
std::string mistake_in(const cublasLtMatmulAlgo_t& algorithm, const Shapes& shapes);
Choice choice_of(const cublasLtMatmulAlgo_t& algorithm);

// SWITCHYARD_SIMGPU_PRODUCTS: by_rows (the first algorithm's bits depend on how many rows there are),
// all_by_rows (those of each), wrong (the first gives wrong values), none (the library offers nothing).
bool is_set(const char* what);

}  // namespace simgpu::cublaslt
