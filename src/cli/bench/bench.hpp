// The benchmarks behind `switchyard bench NAME`.
#pragma once

#include "cli/commands/commands.hpp"

namespace switchyard::cli {

int bench_matmul(Runtime& runtime, Arguments arguments);
int bench_exchange(Runtime& runtime, Arguments arguments);
int bench_step(Runtime& runtime, Arguments arguments);

}  // namespace switchyard::cli
