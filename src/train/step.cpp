#include "train/step.hpp"

#include <algorithm>

#include "device/transfer.hpp"
#include "optim/optimiser.hpp"

namespace switchyard::train {

Step::Step(const optim::Options& options, index_t horizon, Learner learner, comm::Resources resources)
    : options_(options),
      horizon_(horizon),
      learner_(learner),
      resources_(resources),
      coordinator_(resources, learner.model.norm_table()),
      fault_(FaultInjection::from_environment(WorldRank(resources.communicator.rank().value))) {
  report_.statistics = of_part_ = learner.model.statistics();
}

// Forward, backward and gradients of a part of the batch, which are added to those of the parts before it.
void Step::learn_from_part(index_t step, index_t part) {
  auto& [loader, model, optimiser] = learner_;
  device::Context& context = resources_.context;
  context.reset_workspaces();
  clock_.enter(Phase::data);
  const nn::Batch batch = loader.training_batch(step, part);
  const nn::Pass pass{context, batch, nn::Mode::training, clock_};
  moe::Statistics& statistics = part == 0 ? report_.statistics : of_part_;
  statistics.clear();
  model::measure(model, pass, statistics, losses_);
  if (part == 0) fault_.strike(step);
  model.backward(pass);
  model.reduce_gradients(pass);
  if (part > 0) report_.statistics.add(of_part_);
  if (part == 0) report_.regularisers.assign(losses_.size(), 0.0);
  for (std::size_t i = 0; i < losses_.size(); ++i) report_.regularisers[i] += losses_[i];
}

const StepReport& Step::run(index_t step, StopConditions conditions) {
  auto& [loader, model, optimiser] = learner_;
  resources_.communicator.set_phase(step, "train");
  Timeline* const timeline = resources_.communicator.timeline();
  clock_.restart(timeline);
  if (timeline != nullptr) timeline->begin_step(step + 1, clock_.since());
  for (index_t part = 0; part < loader.parts_of(step); ++part) learn_from_part(step, part);
  clock_.enter(Phase::reduction);
  report_.agreed = coordinator_.agree(optimiser, loader, report_.statistics, conditions);
  clock_.enter(Phase::update);
  report_.learning_rate = optim::learning_rate(options_, horizon_, step);
  optimiser.update(resources_.context,
                   {.step = step,
                    .learning_rate = report_.learning_rate,
                    .gradient_scale = optim::clip_scale(report_.agreed.gradient_norm, options_.clip_norm),
                    .squares = report_.agreed.squares});
  clock_.enter(Phase::reduction);
  model.gather_updated_values();
  device::Context& context = resources_.context;
  const Span<std::int64_t> counts = context.host_workspace().allocate<std::int64_t>(model.count_count());
  auto next = counts.begin();
  report_.statistics.for_each_counts([&](Span<std::int64_t> of) { next = std::ranges::copy(of, next).out; });
  model.after_update(context, device::place(context, counts));

  report_.seconds = clock_.take();
  if (timeline != nullptr) timeline->end_step(clock_.since());
  return report_;
}

}  // namespace switchyard::train
