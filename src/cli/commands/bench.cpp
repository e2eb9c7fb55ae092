#include <fmt/format.h>

#include "base/error.hpp"
#include "cli/commands/commands.hpp"
#include "cli/handshake.hpp"

namespace switchyard::cli {

int bench(Runtime& runtime, Arguments arguments) {
  const std::string name = arguments.empty() ? "" : arguments[0];
  comm::expect_same(runtime.communicator(), ErrorKind::config,
                    std::vector{compared_argument("the benchmark", name)});
  if (name == "step") return bench_step(runtime, arguments.subspan(1));
  if (name == "exchange") return bench_exchange(runtime, arguments.subspan(1));
  if (name == "matmul") return bench_matmul(runtime, arguments.subspan(1));
  if (name == "device") return bench_device(runtime, arguments.subspan(1));
  throw_agreed(
      ErrorKind::config,
      fmt::format("'{}' is no benchmark (there are step, exchange, matmul and device); try `switchyard bench "
                  "step configs/fashion_mnist/original.ini`",
                  name));
}

std::string bench_help() {
  return "usage: switchyard bench step FILE.ini [--section.key=value ...]\n"
         "       switchyard bench exchange | matmul\n"
         "       switchyard bench device [--mib=N] [--width=N]\n\n"
         "step      times train.max_steps training steps (200 if not set) by phase, and as a share of the "
         "float32 matrix limit; on a GPU also what a step asks of it, and which algorithms it multiplies with\n"
         "exchange  the exchange of top-1 rows, without and with a gather of what arrived, against the raw "
         "exchange of the same bytes; start it on 2 or more ranks\n"
         "matmul    the products of the Fashion-MNIST mixture against the core's fused multiply-add peak, and "
         "in bf16 against float32\n"
         "device    what a GPU can do: copies of N MiB (1024), launches, and products of matrices N wide (8192) "
         "in float32, TF32 and bf16\n";
}

}  // namespace switchyard::cli
