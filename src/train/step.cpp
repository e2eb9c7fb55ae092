#include "train/step.hpp"

#include "optim/schedule.hpp"

namespace switchyard::train {

Step::Step(const optim::Options& options, index_t horizon, BatchLoader& loader, model::MixtureModel& model,
           optim::Optimizer& optimizer, comm::Communicator& communicator, device::Context& context)
    : options_(options),
      horizon_(horizon),
      loader_(&loader),
      model_(&model),
      optimizer_(&optimizer),
      communicator_(&communicator),
      context_(&context),
      coordinator_(communicator, model.norm_table().entries()),
      fault_(FaultInjection::from_environment(WorldRank(communicator.rank().value))) {
  report_.statistics = model.statistics();
}

const StepReport& Step::run(index_t step, StopConditions conditions) {
  communicator_->set_phase(step, "train");
  context_->workspace().reset();
  report_.statistics.clear();
  (void)clock_.take();

  clock_.enter(Phase::data);
  const nn::Batch batch = loader_->training_batch(*context_, step);
  const nn::Pass pass{*context_, batch, nn::Mode::training, clock_};
  model_->forward(pass, report_.statistics);
  fault_.strike(step);
  model_->backward(pass);
  model_->reduce_gradients(pass);
  clock_.enter(Phase::reduction);
  report_.agreed = coordinator_.agree(*context_, *optimizer_, report_.statistics, conditions.stop_requested,
                                      conditions.out_of_time);
  clock_.enter(Phase::update);
  report_.learning_rate = optim::learning_rate(options_, horizon_, step);
  optimizer_->update(*context_,
                     {.step = step,
                      .learning_rate = report_.learning_rate,
                      .gradient_scale = optim::clip_scale(report_.agreed.gradient_norm, options_.clip_norm),
                      .squares = report_.agreed.squares});
  clock_.enter(Phase::reduction);
  model_->gather_updated_values(*context_);

  report_.regularisers = model_->regulariser_losses();
  report_.seconds = clock_.take();
  return report_;
}

}  // namespace switchyard::train
