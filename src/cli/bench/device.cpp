#include <fmt/format.h>

#include <functional>
#include <iostream>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "base/timing.hpp"
#include "cli/bench/product_choices.hpp"
#include "cli/commands/commands.hpp"
#include "cli/number_option.hpp"
#include "comm/agreement.hpp"
#include "device/copy.hpp"
#include "device/transfer.hpp"
#include "ops/convert.hpp"
#include "ops/gpu_products.hpp"
#include "ops/product.hpp"
#include "ops/rows.hpp"
#include "run/options.hpp"

namespace switchyard::cli {
namespace {

struct Sizes {
  index_t mib;    // of a copy
  index_t width;  // of a product, of square matrices
};

Sizes parse(Arguments arguments) {
  const CommandLine line = parse_command_line(arguments, {.own = {"mib", "width"}});
  if (!line.positionals.empty()) {
    throw ConfigError(
        fmt::format("bench device takes --mib=N and --width=N ('{}' was given); try `switchyard bench device`",
                    line.positionals.front()));
  }
  constexpr Range sizes{1, 65'536, "a whole number from 1 to 65536"};
  return {number_of<index_t>(line, "mib", 1024, sizes), number_of<index_t>(line, "width", 8192, sizes)};
}

// What is enqueued `calls` times and then waited for, a number of times; seconds of a call.
class Bench {
 public:
  explicit Bench(device::Context& context) : context_(context) {}

  Times times(int calls, const std::function<void()>& enqueue) const {
    return measure(calls, [&] {
      for (int call = 0; call < calls; ++call) enqueue();
      context_.wait();
    });
  }
  // The host's part alone: how long a call takes to return.
  Times times_to_enqueue(int calls, const std::function<void()>& enqueue) const {
    return measure(calls, [&] {
      for (int call = 0; call < calls; ++call) enqueue();
    });
  }

 private:
  Times measure(int calls, const auto& body) const {
    Times found;
    for (int i = 0; i < 10; ++i) {
      const double seconds = seconds_of(body);
      context_.wait();
      if (i > 0) found.add(seconds / calls);  // the first warms up
    }
    return found;
  }

  device::Context& context_;
};

void print(std::string_view what, double value, std::string_view unit, const std::string& of) {
  std::cout << fmt::format("{}: {:.3f} {} ({})\n", what, value, unit, of);
}

void bench_copies(device::Context& context, index_t mib) {
  constexpr int calls = 4;
  const index_t bytes = mib << 20;
  device::Buffer<std::byte> from(bytes, device::MemoryKind::device), to(bytes, device::MemoryKind::device);
  device::Buffer<std::byte> host(bytes, device::MemoryKind::pinned);
  const Bench bench(context);
  const auto say = [&](std::string_view what, index_t moved, const std::function<void()>& copy) {
    const Times times = bench.times(calls, copy);
    print(what, static_cast<double>(moved) / times.median() * 1e-9, "GB/s", fmt::format("{} MiB", mib));
  };
  say("copy on the device, read and written", 2 * bytes,
      [&] { device::copy_on_device<std::byte>(context, from.span(), to.span()); });
  say("copy from pinned memory", bytes, [&] {
    device::place_bytes(context, context.compute(), host.data(), to.data(), host.span().size_bytes());
  });
  say("copy to pinned memory", bytes, [&] {
    device::fetch_bytes(context, context.compute(), from.data(), host.data(), host.span().size_bytes());
  });
}

template <class Number>
void bench_product(device::Context& context, std::string_view what, index_t width, const Number* a, float* c) {
  const ops::MatmulShape shape{.m = width, .n = width, .k = width, .lda = width, .ldb = width, .ldc = width};
  const Times times = Bench(context).times(2, [&] { ops::matmul(context, shape, a, a, c); });
  const double flops =
      2.0 * static_cast<double>(width) * static_cast<double>(width) * static_cast<double>(width);
  print(what, flops / times.median() * 1e-12, "TFLOP/s", fmt::format("{0} x {0} x {0}", width));
}

// By the path that training takes: an algorithm that holds for all numbers of rows, or our own kernel.
void bench_products(device::Context& context, index_t width) {
  const index_t count = width * width;
  device::Buffer<float> a(count, device::MemoryKind::device), c(count, device::MemoryKind::device);
  {
    std::vector<float> values(as_size(count));
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i % 13) * 0.1F - 0.6F;
    device::copy_to_device<float>(context, values, a.span());
  }
  device::Buffer<ops::bfloat16> a16(count, device::MemoryKind::device);
  ops::to_bfloat16(context, a.span(), a16.span());
  bench_product(context, "product of float32", width, a.data(), c.data());
  ops::set_float_products(context, ops::FloatProducts::tf32);
  bench_product(context, "product of TF32", width, a.data(), c.data());
  ops::set_float_products(context, ops::FloatProducts::float32);
  bench_product(context, "product of bf16", width, a16.data(), c.data());
  print_product_choices(std::cout, context);
}

void bench_calls(device::Context& context) {
  constexpr int calls = 500;
  device::Buffer<float> x(64, device::MemoryKind::device), y(64, device::MemoryKind::device);
  const Bench bench(context);
  const auto launch = [&] { ops::relu(context, {x.data(), 1, 64}, {y.data(), 1, 64}); };
  const auto say = [](std::string_view what, const Times& times, const std::string& of) {
    print(what, times.median() * 1e6, "us", of);
  };
  say("launch, of the host", bench.times_to_enqueue(calls, launch), fmt::format("{} in a row", calls));
  say("launch, until it is done", bench.times(calls, launch), fmt::format("{} in a row", calls));
  say("launch and wait", bench.times(1, launch), "one at a time");
}

}  // namespace

int bench_device(Runtime& runtime, Arguments arguments) {
  Sizes sizes{};
  comm::agree(runtime.communicator(), [&] { sizes = parse(arguments); });
  run::Options options;
  options.device = run::DeviceChoice::cuda;
  device::Context& context = runtime.start_device(options);
  if (!runtime.is_root()) return 0;
  std::cout << runtime.device_text() << "; medians\n\n";
  bench_copies(context, sizes.mib);
  bench_calls(context);
  bench_products(context, sizes.width);
  return 0;
}

}  // namespace switchyard::cli
