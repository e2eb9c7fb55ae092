#include "train/step.hpp"

#include "base/contract.hpp"
#include "device/phase_mark.hpp"
#include "optim/optimiser.hpp"

namespace switchyard::train {
namespace {

StepFigures::Sizes sizes_of(const model::Model& model) {
  return {model.norm_table().squares(), model.count_count(), model.sum_count()};
}

}  // namespace

Step::Step(const optim::Options& options, index_t horizon, Learner learner, comm::Resources resources)
    : options_(options),
      horizon_(horizon),
      learner_(learner),
      resources_(resources),
      reports_(resources.context.device() == device::DeviceKind::cuda ? Reports::late : Reports::prompt),
      coordinator_(resources, learner.model.norm_table(), learner.optimiser),
      fault_(FaultInjection::from_environment(WorldRank(resources.communicator.rank().value))),
      sizes_(sizes_of(learner.model)),
      figures_(sizes_, resources.context.memory()),
      steps_{make_pending(), make_pending()} {
  report_.statistics = learner.model.statistics();
  clock_.set_mark(device::phase_mark(resources.context));
}

Step::Pending Step::make_pending() const {
  const bool on_gpu = resources_.context.memory() == device::MemoryKind::device;
  return {.figures = StepFigures(sizes_, on_gpu ? device::MemoryKind::pinned : device::MemoryKind::host),
          .copied = on_gpu ? device::Event::cuda() : device::Event()};
}

// Forward, backward and gradients of a part of the batch, which are added to those of the parts before it.
void Step::learn_from_part(index_t step, index_t part) {
  auto& [loader, model, optimiser] = learner_;
  device::Context& context = resources_.context;
  context.reset_workspaces();
  clock_.enter(Phase::data);
  const nn::Batch batch = loader.training_batch(step, part);
  const nn::Pass pass{context, batch, nn::Mode::training, clock_};
  if (part == 0) figures_.clear(context);
  model.forward(pass, {figures_.sums(), figures_.counts()});
  if (part == 0) fault_.strike(step);
  model.backward(pass);
  model.reduce_gradients(pass);
}

void Step::update(index_t step, StopConditions conditions) {
  auto& [loader, model, optimiser] = learner_;
  device::Context& context = resources_.context;
  clock_.enter(Phase::reduction);
  ops::StepScalars::Given given = optimiser.given(step, optim::learning_rate(options_, horizon_, step));
  given.failed = loader.has_failed() ? 1 : 0;
  given.stop = conditions.stop_requested ? 1 : 0;
  given.time = conditions.out_of_time && resources_.communicator.is_root() ? 1 : 0;
  coordinator_.enqueue(optimiser, given, figures_);
  clock_.enter(Phase::update);
  optimiser.update(context, figures_.scalars());
  clock_.enter(Phase::reduction);
  model.gather_updated_values();
  model.after_update(context, figures_.counts());
}

void Step::enqueue(index_t step, StopConditions conditions) {
  SY_EXPECTS(pending_ < std::ssize(steps_), "step {} with {} whose reports were not read", step, pending_);
  resources_.communicator.set_phase(step, "train");
  Timeline* const timeline = resources_.communicator.timeline();
  clock_.restart(timeline);
  if (timeline != nullptr) timeline->begin_step(step + 1, clock_.since());
  for (index_t part = 0; part < learner_.loader.parts_of(step); ++part) learn_from_part(step, part);
  update(step, conditions);

  Pending& pending = steps_[(first_ + as_size(pending_)) % steps_.size()];
  ++pending_;
  pending.step = step;
  pending.learning_rate = optim::learning_rate(options_, horizon_, step);
  figures_.copy_to(resources_.context, pending.figures);
  pending.copied.record(resources_.context.compute());
  pending.seconds = clock_.take();
  if (timeline != nullptr) timeline->end_step(clock_.since());
}

// Seconds. The wait counts as one of the step for its own work only where nothing was enqueued behind it.
double Step::wait_for(const Pending& pending) {
  device::Context& context = resources_.context;
  if (context.device() == device::DeviceKind::cpu) return 0;  // it is done
  const auto begin = std::chrono::steady_clock::now();
  const index_t waits = context.counters().waits;
  context.wait(pending.copied);
  if (pending_ > 1) context.counters().waits = waits;
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

const StepReport& Step::report() {
  SY_EXPECTS(pending_ > 0, "no step was enqueued since the last report");
  Pending& pending = steps_[first_];
  const double waited = wait_for(pending);
  first_ = (first_ + 1) % steps_.size();
  --pending_;
  model::Model& model = learner_.model;
  report_.step = pending.step;
  report_.learning_rate = pending.learning_rate;
  report_.seconds = pending.seconds;
  report_.seconds[static_cast<std::size_t>(Phase::reduction)] += waited;
  report_.statistics.clear();
  StepFigures& figures = pending.figures;
  model.read(figures.sums(), figures.counts(), report_.statistics, report_.regularisers);
  model.expect_finite(report_.statistics, figures.sums());
  report_.agreed = coordinator_.read(learner_.optimiser, learner_.loader, figures);
  return report_;
}

}  // namespace switchyard::train
