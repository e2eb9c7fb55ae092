#include <fmt/format.h>

#include <cstring>
#include <iostream>

#include "base/span.hpp"
#include "base/timing.hpp"
#include "cli/commands/commands.hpp"
#include "moe/exchange.hpp"
#include "ops/rows.hpp"
#include "run/options.hpp"

namespace switchyard::cli {
namespace {

constexpr index_t row_floats = 1024;

// Top-1 rows, the same number to every rank, in a random-looking order: of every R samples in a row each goes
// to another expert, and rank r has expert r.
struct Workload {
  device::Buffer<float> samples;
  device::Buffer<std::int32_t> experts;
  moe::Routing routing;
};

Workload make_workload(index_t rows_per_pair, int ranks) {
  const index_t rows = rows_per_pair * ranks;
  Workload w{device::Buffer<float>(rows * row_floats), device::Buffer<std::int32_t>(rows), {}};
  for (index_t i = 0; i < rows * row_floats; ++i) w.samples[i] = static_cast<float>(i % 1000);
  for (index_t n = 0; n < rows; ++n) w.experts[n] = static_cast<std::int32_t>((n + 3 * (n / ranks)) % ranks);
  w.routing.experts = w.experts.span();
  w.routing.samples = rows;
  w.routing.slots = 1;
  return w;
}

struct Result {
  Times plan, dispatch, gathered, raw, copy;
};

// gathered: dispatch, and each expert's rows, which its tables name, side by side; an expert's first layer
// gathers them tile by tile, and other programs count it as part of their exchange. raw: the same bytes between
// the same ranks from one block to another, nothing packed. copy: one pass over the bytes.
Result measure(comm::Resources resources, index_t rows_per_pair) {
  // Not by structured bindings, which clang does not let a lambda refer to.
  comm::Communicator& communicator = resources.communicator;
  comm::DataPlane& data_plane = resources.data_plane;
  device::Context& context = resources.context;
  const int ranks = communicator.size();
  const Workload w = make_workload(rows_per_pair, ranks);
  const moe::Placement placement = moe::Placement::make(moe::PlacementRule::block, ranks, ranks);
  const tensor::ConstMatrix samples(w.samples.data(), w.routing.samples, row_floats);
  moe::Exchange exchange(resources, {row_floats, 0});
  moe::DispatchPlan plan(placement, communicator.rank(), context.memory());

  const index_t off_rank = rows_per_pair * (ranks - 1);
  Vector<index_t> counts(ranks, rows_per_pair);
  Vector<index_t> first(ranks);
  counts[communicator.rank()] = 0;
  for (std::size_t r = 1; r < first.size(); ++r) first[r] = first[r - 1] + counts[r - 1];
  device::Buffer<float> out(off_rank * row_floats), in(off_rank * row_floats);
  const index_t arriving = rows_per_pair * ranks;  // the own ones, too
  device::Buffer<float> side_by_side(arriving * row_floats);

  Result result;
  constexpr int warm = 5;
  for (int i = 0; i < 45; ++i) {
    context.reset_workspaces();
    communicator.barrier();
    const double planned = seconds_of([&] { plan.build(resources, w.routing, {.samples = samples}); });
    communicator.barrier();
    const double dispatched = seconds_of([&] { exchange.dispatch(context, plan, samples); });
    const double gathered = seconds_of([&] {
      ops::gather_rows(context, exchange.input(), tensor::Matrix(side_by_side.data(), arriving, row_floats));
    });
    communicator.barrier();
    const double raw = seconds_of([&] {
      data_plane.all_to_all_rows<float>(context, out.data(), {counts, first}, in.data(), {counts, first},
                                        row_floats);
    });
    communicator.barrier();
    const double copied =
        seconds_of([&] { std::memcpy(out.data(), in.data(), as_size(off_rank * row_floats) * sizeof(float)); });
    if (i < warm) continue;
    result.plan.add(planned);
    result.dispatch.add(dispatched);
    result.gathered.add(dispatched + gathered);
    result.raw.add(raw);
    result.copy.add(copied);
  }
  return result;
}

}  // namespace

int bench_exchange(Runtime& runtime, Arguments) {
  runtime.start_device({.device = run::DeviceChoice::cpu, .threads = 1});  // rows of the host
  if (runtime.communicator().size() == 1) {
    std::cout << "bench exchange measures rows between ranks; try mpirun -n 2 switchyard bench exchange\n";
    return 0;
  }
  if (runtime.is_root()) {
    std::cout << fmt::format(
        "top-1 rows of {} floats between {} ranks (root's times, medians; p10 to p90)\n"
        "limit: the raw exchange of the same bytes plus one copy of them\n"
        "gathered: dispatch, and the rows of the expert side by side\n\n{:>9} {:>9} {:>11} {:>19} {:>11} {:>9} "
        "{:>9} {:>9} {:>9} {:>9}\n",
        row_floats, runtime.communicator().size(), "MiB/pair", "plan us", "dispatch us", "p10..p90",
        "gathered us", "raw us", "copy us", "limit us", "dispatch", "gathered");
  }
  for (const index_t mebibytes : {1, 8, 32}) {
    const Result r = measure(runtime.resources(), mebibytes * (1 << 20) / (row_floats * size_of<float>));
    const double limit = r.raw.median() + r.copy.median();
    if (!runtime.is_root()) continue;
    std::cout << fmt::format(
        "{:>9} {:>9.0f} {:>11.0f} {:>19} {:>11.0f} {:>9.0f} {:>9.0f} {:>9.0f} {:>8.2f}x {:>8.2f}x\n", mebibytes,
        r.plan.median() * 1e6, r.dispatch.median() * 1e6,
        fmt::format("{:.0f}..{:.0f}", r.dispatch.percentile(0.1) * 1e6, r.dispatch.percentile(0.9) * 1e6),
        r.gathered.median() * 1e6, r.raw.median() * 1e6, r.copy.median() * 1e6, limit * 1e6,
        r.dispatch.median() / limit, r.gathered.median() / limit);
  }
  return 0;
}

}  // namespace switchyard::cli
