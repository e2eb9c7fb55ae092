// One training step.
//
// train: the batch of a rank, the step, the coordinator, evaluation. It knows nothing of files.
#pragma once

#include <numeric>

#include "train/batch_loader.hpp"
#include "train/coordinator.hpp"
#include "train/fault_injection.hpp"

namespace switchyard::train {

struct StepReport {
  moe::Statistics statistics;   // exact over the global batch
  Vector<double> regularisers;  // their losses, in the order of moe::regulariser_kinds(): means over parts
  double learning_rate = 0;
  Agreement agreed;
  PhaseClock::Seconds seconds{};  // of this rank

  double loss() const {
    return statistics.task_loss() + std::accumulate(regularisers.begin(), regularisers.end(), 0.0);
  }
};

// Who learns, from what, and how.
struct Learner {
  BatchLoader& loader;
  model::Model& model;
  optim::Optimiser& optimiser;
};

// Holds what a step needs and reuses its memory: a warm step allocates nothing in our code. Collective.
class Step {
 public:
  Step(const optim::Options& options, index_t horizon, Learner learner, comm::Resources resources);

  // Runs step `step` (from 0): afterwards the model has learned from that batch. The report lives until the
  // next run().
  const StepReport& run(index_t step, StopConditions conditions);

 private:
  void learn_from_part(index_t step, index_t part);

  optim::Options options_;
  index_t horizon_;
  Learner learner_;
  comm::Resources resources_;
  Coordinator coordinator_;
  FaultInjection fault_;
  PhaseClock clock_;
  StepReport report_;
  moe::Statistics of_part_;
  Vector<double> losses_;  // of regularisers, of a part
};

}  // namespace switchyard::train
