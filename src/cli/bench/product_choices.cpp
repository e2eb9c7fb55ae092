#include "cli/bench/product_choices.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <ostream>

#include "ops/gpu_products.hpp"

namespace switchyard::cli {

void print_product_choices(std::ostream& to, const device::Context& context) {
  if (context.device() == device::DeviceKind::cpu) return;
  const std::vector<ops::ProductChoice> choices = ops::product_choices(context);
  to << fmt::format("kinds of products: {}, of which {} by the library\n", choices.size(),
                    std::ranges::count(choices, true, &ops::ProductChoice::by_library));
  for (const ops::ProductChoice& choice : choices) {
    to << fmt::format("  {}: {}{}\n", choice.products, choice.computed_by,
                      choice.why.empty() ? "" : fmt::format(" ({})", choice.why));
  }
}

}  // namespace switchyard::cli
