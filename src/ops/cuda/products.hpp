// The products of ops/product.hpp on a GPU. products.cpp implements them; in a build without CUDA not_built.cpp
// does, and says so.
#pragma once

#include "ops/product.hpp"

namespace switchyard::ops::cuda {

template <class Number>
void multiply(device::Context&, const MatmulShape& shape, const Number* a, const Number* b, float* c,
              const float* bias);
template <class Number>
void multiply_sets(device::Context&, const SetProduct<Number>& product, Span<const SetRows> sets,
                   RowSets of_rows);
template <class Number>
void set_gradients(device::Context&, const SetGradients<Number>& of, Span<const SetRows> of_sets);

}  // namespace switchyard::ops::cuda
