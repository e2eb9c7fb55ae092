#include <fmt/format.h>

#include <iostream>
#include <optional>

#include "cli/bench/bench.hpp"
#include "cli/bench/timing.hpp"
#include "cli/options.hpp"
#include "comm/agreement.hpp"
#include "ops/matmul.hpp"
#include "train/step.hpp"

namespace switchyard::cli {
namespace {

// The product that the share is measured against, at the shape of the Fashion-MNIST gate's first dense layer.
class ReferenceProduct {
 public:
  ReferenceProduct() : a_(m * k), b_(k * n), c_(m * n) { run(); }
  void run() {
    times_.add(seconds_of([&] {
      ops::matmul({.m = m, .n = n, .k = k, .lda = k, .ldb = n, .ldc = n}, a_.data(), b_.data(), c_.data());
    }));
  }
  double flops_per_second() const { return 2.0 * m * n * k / times_.median(); }

 private:
  static constexpr index_t m = 512, k = 1352, n = 512;
  device::Buffer<float> a_, b_, c_;
  Times times_;
};

struct Measured {
  Times step;
  std::array<Times, phase_count> phases;
  index_t samples = 0;
  double reference_flops = 0;
};

Measured measure(const config::Config& config, index_t steps, Runtime& runtime, device::Context& context,
                 const data::Dataset& dataset, double& flops_per_sample) {
  comm::Communicator& communicator = runtime.communicator();
  train::BatchLoader loader(config, dataset, communicator);
  model::MixtureModel model(config, train::task_of(dataset), communicator);
  model.values_changed(context);
  optim::Optimizer optimizer(config.optim, model.norm_table(), model.slices());
  train::Step step(config, steps, loader, model, optimizer, communicator, context);
  // Two operations for each multiply-add.
  flops_per_sample = 2.0 * static_cast<double>(model.training_multiply_adds_per_sample());

  Measured result;
  ReferenceProduct reference;
  const index_t warm = std::min<index_t>(steps / 10 + 1, 20);
  for (index_t i = 0; i < steps + warm; ++i) {
    const train::StepReport& report = step.run(i, {});
    if (i % 5 == 0) reference.run();  // between steps, so that both see the machine in the same state
    if (i < warm) continue;
    double whole = 0;
    for (std::size_t p = 0; p < phase_count; ++p) {
      result.phases[p].add(report.seconds[p]);
      whole += report.seconds[p];
    }
    result.step.add(whole);
    result.samples += report.statistics.samples();
  }
  result.reference_flops = reference.flops_per_second();
  return result;
}

void print(const Measured& m, double flops_per_sample, int cores, std::string_view precision) {
  std::cout << fmt::format("{:<10} {:>9} {:>10} {:>9} {:>7}\n", "phase", "p10 ms", "median ms", "p90 ms",
                           "share");
  for (std::size_t p = 0; p < phase_count; ++p) {
    const Times& t = m.phases[p];
    std::cout << fmt::format("{:<10} {:>9.3f} {:>10.3f} {:>9.3f} {:>6.1f}%\n", name(static_cast<Phase>(p)),
                             t.percentile(0.1) * 1e3, t.median() * 1e3, t.percentile(0.9) * 1e3,
                             100.0 * t.sum() / m.step.sum());
  }
  const double rate = static_cast<double>(m.samples) / m.step.sum();
  const double limit = m.reference_flops * cores / flops_per_sample;
  std::cout << fmt::format("{:<10} {:>9.3f} {:>10.3f} {:>9.3f}\n\n", "step", m.step.percentile(0.1) * 1e3,
                           m.step.median() * 1e3, m.step.percentile(0.9) * 1e3)
            << fmt::format(
                   "{:.0f} samples/s in {}; {:.3g} MFLOP a sample; {} core(s) at {:.1f} GFLOP/s (float32 512 x "
                   "1352 x 512, interleaved)\n",
                   rate, precision, flops_per_sample * 1e-6, cores, m.reference_flops * 1e-9)
            << fmt::format("share of the float32 matrix limit: {:.2f} ({:.0f} samples/s would be 1.00)\n",
                           rate / limit, limit);
}

}  // namespace

int bench_step(Runtime& runtime, Arguments arguments) {
  const config::Config config = runtime.read_config([&] { return parse_run_options(arguments).config; });
  comm::Communicator& communicator = runtime.communicator();
  device::Context& context = runtime.start_device(config.run);
  const data::Dataset dataset = runtime.read_data(config);
  const index_t steps = config.train.max_steps > 0 ? config.train.max_steps : 200;
  double flops_per_sample = 0;
  const Measured measured = measure(config, steps, runtime, context, dataset, flops_per_sample);
  const int cores = communicator.size() * runtime.threads();
  if (runtime.is_root()) {
    for (const std::string& warning : runtime.warnings()) std::cout << "warning: " << warning << '\n';
    std::cout << fmt::format("{} step(s), batch {}, {} rank(s) x {} thread(s); times of the root rank\n\n",
                             steps, config.train.batch_size, communicator.size(), runtime.threads());
    print(measured, flops_per_sample, cores,
          config.train.precision == config::Precision::bf16 ? "bf16" : "float32");
  }
  return 0;
}

}  // namespace switchyard::cli
