#include "train/step.hpp"

#include "optim/optimiser.hpp"

namespace switchyard::train {

Step::Step(const optim::Options& options, index_t horizon, Learner learner, comm::Resources resources)
    : options_(options),
      horizon_(horizon),
      learner_(learner),
      resources_(resources),
      coordinator_(resources, learner.model.norm_table()),
      fault_(FaultInjection::from_environment(WorldRank(resources.communicator.rank().value))) {
  report_.statistics = learner.model.statistics();
}

const StepReport& Step::run(index_t step, StopConditions conditions) {
  auto& [loader, model, optimiser] = learner_;
  auto& [communicator, context] = resources_;
  communicator.set_phase(step, "train");
  context.workspace().reset();
  report_.statistics.clear();
  (void)clock_.take();

  clock_.enter(Phase::data);
  const nn::Batch batch = loader.training_batch(step);
  const nn::Pass pass{context, batch, nn::Mode::training, clock_};
  model.forward(pass, report_.statistics);
  fault_.strike(step);
  model.backward(pass);
  model.reduce_gradients(pass);
  clock_.enter(Phase::reduction);
  report_.agreed = coordinator_.agree(optimiser, report_.statistics, conditions);
  clock_.enter(Phase::update);
  report_.learning_rate = optim::learning_rate(options_, horizon_, step);
  optimiser.update(context,
                   {.step = step,
                    .learning_rate = report_.learning_rate,
                    .gradient_scale = optim::clip_scale(report_.agreed.gradient_norm, options_.clip_norm),
                    .squares = report_.agreed.squares});
  clock_.enter(Phase::reduction);
  model.gather_updated_values();

  report_.regularisers = model.regulariser_losses();
  report_.seconds = clock_.take();
  return report_;
}

}  // namespace switchyard::train
