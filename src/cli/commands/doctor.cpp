#include <fmt/format.h>

#include <iostream>

#include "base/build_info.hpp"
#include "base/error.hpp"
#include "cli/commands/commands.hpp"
#include "cli/device_choice.hpp"
#include "comm/launch_check.hpp"
#include "comm/nccl/nccl.hpp"
#include "device/describe.hpp"
#include "ops/gpu_products.hpp"

namespace switchyard::cli {
namespace {

std::string describe(const ops::GpuProductLibrary& library) {
  if (!library.why_none.empty()) return fmt::format("products on a GPU: none ({})\n", library.why_none);
  return fmt::format("products on a GPU: cublasLt {} ({})\n", library.version, library.path);
}

}  // namespace

namespace {

// What run.device = auto would take, and from which libraries.
std::string device_lines() {
  const FoundGpus found = find_gpus();
  const ChosenDevice chosen = choose_device(run::DeviceChoice::automatic, found, NodeRank(0));
  if (chosen.kind == device::DeviceKind::cpu) return fmt::format("training device: cpu ({})\n", chosen.why);
  const comm::nccl::Library nccl = comm::nccl::find_library();
  return fmt::format("training device: {}\nproducts on a GPU: {}\nNCCL: {}\n", gpu_text(found, chosen.ordinal),
                     products_text(found.products),
                     nccl.version > 0
                         ? fmt::format("{} ({})", comm::nccl::version_text(nccl.version), nccl.file)
                         : fmt::format("none: {}", nccl.why_none));
}

}  // namespace

int doctor(Arguments arguments) {
  if (!arguments.empty()) {
    throw ConfigError(
        fmt::format("doctor takes no arguments ('{}' was given); try `switchyard doctor`", arguments[0]));
  }
  const auto launch = comm::find_launch();
  std::cout << switchyard::describe(build_info()) << '\n'
            << device::to_string(device::describe_machine()) << describe(ops::gpu_product_library())
            << fmt::format("processors for this process: {}\n", device::allowed_processors().size())
            << fmt::format("launcher: {}\n",
                           launch ? fmt::format("{}, {} processes", launch->launcher, launch->processes)
                                  : "none (one rank; use mpirun -n N for more)")
            << device_lines();
  return 0;
}

std::string doctor_help() {
  return "usage: switchyard doctor\n\nPrints what this machine offers (processors, instruction sets, memory, "
         "GPUs, launcher) and what will be used.\n";
}

}  // namespace switchyard::cli
