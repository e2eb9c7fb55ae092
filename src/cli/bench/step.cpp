#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <iostream>
#include <memory>

#include "base/partition.hpp"
#include "base/timing.hpp"
#include "cli/bench/product_choices.hpp"
#include "cli/commands/commands.hpp"
#include "cli/options.hpp"
#include "comm/agreement.hpp"
#include "ops/counted.hpp"
#include "ops/reference_product.hpp"
#include "run/config.hpp"
#include "train/step.hpp"

namespace switchyard::cli {
namespace {

// Enough for a median on a machine with other work, also in a short run.
constexpr index_t fewest_references = 25;

struct Measured {
  Times step;
  std::array<Times, phase_count> phases;
  index_t samples = 0;  // or bytes: what the data count
  double flops_per_sample = 0;
  ops::MultiplyAdds counted;        // of all ranks
  std::size_t workspace_bytes = 0;  // of this rank
  Times references;                 // of ops::ReferenceProduct
  device::Counters of_device;       // of all steps, on a GPU

  // Of a step that is no longer one of the first, which warm up.
  void add(const train::StepReport& report, index_t first) {
    if (report.step < first) return;
    double whole = 0;
    for (std::size_t p = 0; p < phase_count; ++p) {
      phases[p].add(report.seconds[p]);
      whole += report.seconds[p];
    }
    step.add(whole);
    samples += report.statistics.samples();
  }
  // Of one core. A percentile: 0.5 is the median.
  double matrix_rate(double share) const {
    return ops::ReferenceProduct::flops / references.percentile(1 - share);
  }
};

Measured measure(const run::Config& config, index_t steps, const data::Dataset& dataset,
                 index_t most_held_bytes, comm::Resources resources) {
  train::BatchLoader loader(config.train, config.run.seed, dataset, resources);
  loader.hold_samples(most_held_bytes);
  const std::unique_ptr<model::Model> model =
      model::make_model(run::model_options(config), train::task_of(dataset), resources);
  model->values_changed();
  optim::Optimiser optimiser(config.optim, model->norm_table(), model->slices(), resources.context.memory());
  train::Step step(config.optim, steps, {loader, *model, optimiser}, resources);

  const bool on_gpu = resources.context.device() == device::DeviceKind::cuda;
  ops::ReferenceProduct reference;
  Measured result;
  result.flops_per_sample = 2.0 * static_cast<double>(model->cost().training_multiply_adds);
  std::array<std::int64_t, 2> counted{};  // all, of padding
  const index_t references = std::max(steps / 5, fewest_references);
  const index_t warm = std::min<index_t>(steps / 10 + 1, 20);
  for (index_t i = 0; i < steps + warm; ++i) {
    const ops::MultiplyAdds before = ops::counted_multiply_adds();
    if (i == warm) result.of_device = resources.context.counters();
    step.enqueue(i, {});
    // As a run does: a GPU has the next step when the report of one is read.
    const index_t late = step.may_be_late() && i + 1 < steps + warm ? 1 : 0;
    while (step.pending() > late) result.add(step.report(), warm);
    if (i < warm) continue;
    const ops::MultiplyAdds of_step = ops::counted_multiply_adds() - before;
    counted[0] += of_step.all;
    counted[1] += of_step.of_padding;
    // Between steps, so that both see the machine in the same state.
    const index_t products = on_gpu ? 0 : partition(references, steps, i - warm).size();
    for (index_t product = 0; product < products; ++product) result.references.add(reference.seconds());
  }
  result.of_device = resources.context.counters() - result.of_device;
  resources.communicator.all_reduce_sum(counted);
  result.counted = {counted[0], counted[1]};
  result.workspace_bytes = resources.context.workspace().peak_bytes();
  return result;
}

void print_phases(const Measured& m) {
  std::cout << fmt::format("{:<10} {:>9} {:>10} {:>9} {:>7}\n", "phase", "p10 ms", "median ms", "p90 ms",
                           "share");
  for (std::size_t p = 0; p < phase_count; ++p) {
    const Times& t = m.phases[p];
    std::cout << fmt::format("{:<10} {:>9.3f} {:>10.3f} {:>9.3f} {:>6.1f}%\n", name(static_cast<Phase>(p)),
                             t.percentile(0.1) * 1e3, t.median() * 1e3, t.percentile(0.9) * 1e3,
                             100.0 * t.sum() / m.step.sum());
  }
  std::cout << fmt::format("{:<10} {:>9.3f} {:>10.3f} {:>9.3f}\n\n", "step", m.step.percentile(0.1) * 1e3,
                           m.step.median() * 1e3, m.step.percentile(0.9) * 1e3);
}

// What is exceeded was no limit.
std::string_view why_above_one(nn::Precision precision) {
  if (precision != nn::Precision::float32) return "its products are of fewer bits, and the limit is of float32";
  return "its products are faster than that of the limit, or the machine was slower while it ran the latter";
}

void print_share(const Measured& m, int cores, const run::Config& config, std::string_view samples) {
  const double rate = static_cast<double>(m.samples) / m.step.sum();
  const auto flops_of = [&](index_t multiply_adds) {
    return 2.0 * static_cast<double>(multiply_adds) / static_cast<double>(m.samples);
  };
  // Of slots that were dropped nothing was multiplied.
  const double useful = flops_of(m.counted.all - m.counted.of_padding);
  const double limit = m.matrix_rate(0.5) * cores / std::min(m.flops_per_sample, useful);
  std::cout << fmt::format(
                   "{:.0f} {}/s in {}; {:.6g} MFLOP a {} (the multiply-adds of products and "
                   "convolutions, times 2)\n",
                   rate, samples, run::schema().text(config, "train.precision"), m.flops_per_sample * 1e-6,
                   samples.substr(0, samples.size() - 1))
            << fmt::format(
                   "limit: {} core(s) at {:.1f} GFLOP/s, the median of {} float32 products of 512 x 1352 x 512 "
                   "between the steps (p10 {:.1f}, p90 {:.1f})\n",
                   cores, m.matrix_rate(0.5) * 1e-9, m.references.count(), m.matrix_rate(0.1) * 1e-9,
                   m.matrix_rate(0.9) * 1e-9)
            << fmt::format("share of the float32 matrix limit: {:.2f} ({:.0f} {}/s would be 1.00)\n",
                           rate / limit, limit, samples);
  std::cout << fmt::format("counted: {:.6g} MFLOP a {}, and {:.6g} of rows of padding; workspace: {:.1f} MiB\n",
                           useful * 1e-6, samples.substr(0, samples.size() - 1),
                           flops_of(m.counted.of_padding) * 1e-6,
                           static_cast<double>(m.workspace_bytes) / (1 << 20));
  if (rate > limit)
    std::cout << fmt::format("the share is above 1: {}\n", why_above_one(config.train.precision));
}

// The share of a GPU's limit is not known here: `bench device` measures that.
void print_device(const Measured& m, Runtime& runtime, std::string_view samples) {
  const auto a_step = [&](index_t count) {
    return static_cast<double>(count) / static_cast<double>(m.step.count());
  };
  const device::Counters& of = m.of_device;
  const double flops = 2.0 * static_cast<double>(m.counted.all);
  std::cout << fmt::format("{}\n{:.0f} {}/s; phases are times of the host, which enqueues\n",
                           runtime.device_text(), static_cast<double>(m.samples) / m.step.sum(), samples)
            << fmt::format("counted: {:.6g} MFLOP a step, {:.6g} GFLOP/s\n",
                           flops / static_cast<double>(m.step.count()) * 1e-6, flops / m.step.sum() * 1e-9)
            << fmt::format("a step: {:.1f} launches, {:.1f} products, {:.1f} copies, {:.1f} waits\n",
                           a_step(of.launches), a_step(of.products), a_step(of.copies), a_step(of.waits))
            << fmt::format("workspace: {:.1f} MiB\n", static_cast<double>(m.workspace_bytes) / (1 << 20));
  print_product_choices(std::cout, runtime.resources().context);
}

}  // namespace

int bench_step(Runtime& runtime, Arguments arguments) {
  const run::Config config = runtime.read_config([&] { return parse_run_options(arguments); });
  runtime.start_device(config.run, config.comm);
  const data::Dataset dataset = runtime.read_data(config);
  const index_t steps = config.train.max_steps > 0 ? config.train.max_steps : 200;
  const Measured measured =
      measure(config, steps, dataset, runtime.most_held_bytes(), runtime.resources(config.moe.replicas));
  const int cores = runtime.communicator().size() * runtime.threads();
  if (runtime.is_root()) {
    for (const std::string& warning : runtime.warnings()) std::cout << "warning: " << warning << '\n';
    std::cout << fmt::format("{} step(s), batch {}, {} rank(s) x {} thread(s); times of the root rank\n\n",
                             steps, config.train.batch_size, runtime.communicator().size(), runtime.threads());
    print_phases(measured);
    if (runtime.resources().context.device() == device::DeviceKind::cuda)
      print_device(measured, runtime, dataset.counted());
    else
      print_share(measured, cores, config, dataset.counted());
  }
  return 0;
}

}  // namespace switchyard::cli
