// What a GPU's products were computed by, for `bench`.
#pragma once

#include <iosfwd>

#include "device/context.hpp"

namespace switchyard::cli {

// A line with their numbers, and one for each kind of product that was met. Nothing on a CPU.
void print_product_choices(std::ostream& to, const device::Context& context);

}  // namespace switchyard::cli
