#include <fmt/format.h>

#include <iostream>

#include "base/build_info.hpp"
#include "base/error.hpp"
#include "cli/commands/commands.hpp"
#include "comm/launch_check.hpp"
#include "device/describe.hpp"
#include "ops/gpu_products.hpp"

namespace switchyard::cli {
namespace {

std::string describe(const ops::GpuProductLibrary& library) {
  if (!library.why_none.empty()) return fmt::format("products on a GPU: none ({})\n", library.why_none);
  return fmt::format("products on a GPU: cublasLt {} ({})\n", library.version, library.path);
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
            << "training device: cpu\n";
  return 0;
}

std::string doctor_help() {
  return "usage: switchyard doctor\n\nPrints what this machine offers (processors, instruction sets, memory, "
         "GPUs, launcher) and what will be used.\n";
}

}  // namespace switchyard::cli
