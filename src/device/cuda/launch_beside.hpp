// What the objects of nvcc define (launch.cuh), for the objects of the compiler of the host of the same file.
#pragma once

#include "device/context.hpp"

namespace switchyard::device::cuda {
inline namespace with_nvcc {

template <class Functor>
void for_each(Context& context, index_t count, const Functor& f);
template <class Functor>
void for_each_row(Context& context, index_t rows, const Functor& f);

}  // namespace with_nvcc
}  // namespace switchyard::device::cuda
