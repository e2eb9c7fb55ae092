#include "train/evaluation.hpp"

#include "base/stop_signals.hpp"
#include "comm/agreement.hpp"

namespace switchyard::train {

std::string_view name(data::Split split) {
  constexpr std::string_view names[] = {"train", "validation", "test"};  // in the order of Split
  return names[as_size(split)];
}

Figures::Figures(const model::Model& model, device::MemoryKind memory)
    : sums_(model.sum_count(), memory), counts_(model.count_count(), memory) {}

moe::Statistics Figures::read(const model::Model& model, device::Context& context) const {
  Vector<double> sums(sums_.count());
  Vector<std::int64_t> counts(counts_.count());
  context.wait();
  device::copy_back_now(sums.data(), sums_.data(), sums_.memory(), sums.size() * sizeof(double));
  device::copy_back_now(counts.data(), counts_.data(), counts_.memory(), counts.size() * sizeof(std::int64_t));
  moe::Statistics statistics = model.statistics();
  Vector<double> regularisers;
  model.read(sums, counts, statistics, regularisers);
  model.expect_finite(statistics, sums);
  return statistics;
}

std::optional<moe::Statistics> evaluate(data::Split split, BatchLoader& loader, model::Model& model,
                                        comm::Resources resources) {
  // Not by structured bindings, which clang does not let a lambda refer to.
  comm::Communicator& communicator = resources.communicator;
  device::Context& context = resources.context;
  Figures figures(model, context.memory());
  PhaseClock clock;
  const index_t batches = loader.evaluation_batches(split);
  for (index_t b = 0; b < batches; ++b) {
    communicator.set_phase(b, name(split));
    context.reset_workspaces();
    const nn::Batch batch = loader.evaluation_batch(split, b);
    if (comm::on_any_rank(communicator, stop_requested() || loader.has_failed())) {
      comm::agree(communicator, [&] { loader.expect_loaded(); });
      return std::nullopt;
    }
    model.forward({context, batch, nn::Mode::evaluation, clock}, figures.all());
  }
  moe::Statistics total = figures.read(model, context);
  const data::Dataset& dataset = loader.dataset();
  if (dataset.window() > 0) total.token = {dataset.token_name(), dataset.bytes_per_token(split)};
  if (total.is_regression()) {
    const Vector<double> variances = dataset.target_variances(split);
    total.targets.variances.assign(variances.begin(), variances.end());
  }
  // Sums are the whole split's on every rank already; counts are still this rank's. Once for a split, and the
  // host reads and writes them: the control plane.
  total.for_each_counts([&](Span<std::int64_t> counts) { communicator.all_reduce_sum(counts); });
  return total;
}

}  // namespace switchyard::train
