#include "ops/product_library.hpp"

#include <dnnl.h>
#include <dnnl_debug.h>
#include <fmt/format.h>

#include <string_view>

namespace switchyard::ops {

std::string product_library() {
  const dnnl_version_t& version = *dnnl_version();
  return fmt::format("oneDNN {}.{}.{}", version.major, version.minor, version.patch);
}

std::string product_instruction_set() {
  std::string_view name = dnnl_cpu_isa2str(dnnl_get_effective_cpu_isa());
  if (constexpr std::string_view prefix = "cpu_isa_"; name.starts_with(prefix))
    name.remove_prefix(prefix.size());
  return std::string(name);
}

}  // namespace switchyard::ops
