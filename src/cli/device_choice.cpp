#include "cli/device_choice.hpp"

#include <fmt/format.h>

#include "base/error.hpp"

namespace switchyard::cli {
namespace {

// What keeps a run from a GPU; empty: nothing.
std::string lacking(const FoundGpus& found) {
  if (found.devices.count() == 0) return found.devices.why_none;
  if (found.products.path.empty())
    return "cublasLt, which multiplies matrices there: " + found.products.why_none;
  return {};
}

}  // namespace

FoundGpus find_gpus() {
  FoundGpus found{.devices = device::cuda_devices(), .products = {}};
  // Opening it takes a third of a second and much memory.
  if (found.devices.count() > 0) found.products = ops::gpu_product_library();
  return found;
}

ChosenDevice choose_device(run::DeviceChoice asked, const FoundGpus& found, NodeRank rank) {
  if (asked == run::DeviceChoice::cpu) return {};
  const std::string missing = lacking(found);
  if (missing.empty())
    return {.kind = device::DeviceKind::cuda, .ordinal = rank.value % found.devices.count(), .why = {}};
  if (asked == run::DeviceChoice::cuda) {
    throw CudaError(fmt::format(
        "run.device = cuda cannot be had ({}); set run.device = cpu, or try `switchyard doctor`", missing));
  }
  return {.why = missing};
}

std::string gpu_text(const FoundGpus& found, int ordinal) {
  return fmt::format("cuda {}: {}; {}", ordinal, device::describe(found.devices.devices[ordinal]),
                     device::versions_text(found.devices));
}

std::string products_text(const ops::GpuProductLibrary& library) {
  if (library.path.empty()) return fmt::format("none: {}", library.why_none);
  return fmt::format("cublasLt {} ({})", library.version, library.path);
}

}  // namespace switchyard::cli
