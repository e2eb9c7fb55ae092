// One training step.
//
// train: the batch of a rank, the step, the coordinator, evaluation. It knows nothing of files.
#pragma once

#include <array>
#include <numeric>

#include "train/batch_loader.hpp"
#include "train/coordinator.hpp"
#include "train/fault_injection.hpp"

namespace switchyard::train {

struct StepReport {
  index_t step = 0;             // from 0
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
//
// A step is enqueued, and its report read: at once, or, on a GPU, after the next one was enqueued, so that the
// GPU has work while the host reads. All ranks do alike. This is safe: a step whose numbers are not finite on
// some rank changes nothing on any (ops::agree), nor do those behind it, so when the report throws, parameters
// and moments are what they were before that step, however many were enqueued meanwhile. Running statistics
// have gone on, and so have biases of routers: of a run that ends without a checkpoint.
class Step {
 public:
  // When a step's report may be read. `late` on a CPU is for tests: it computes at once.
  enum class Reports { prompt, late };

  Step(const optim::Options& options, index_t horizon, Learner learner, comm::Resources resources);

  // In place of those of the context's device, with no step pending.
  void set_reports(Reports reports) { reports_ = reports; }
  bool may_be_late() const { return reports_ == Reports::late; }
  // Steps whose reports were not read: at most two.
  index_t pending() const { return pending_; }

  // Step `step` (from 0): once all that is enqueued is done, the model has learned from that batch.
  void enqueue(index_t step, StopConditions conditions);
  // Of the first of the pending steps. Waits for it. Throws on all ranks alike: NumericError if its loss, a
  // score of a gate, or the norm of its gradient is not finite, or an earlier update left something that is
  // not; the DataError of a batch that could not be read on some rank. The report lives until the next one.
  const StepReport& report();
  // Both at once.
  const StepReport& run(index_t step, StopConditions conditions) {
    enqueue(step, conditions);
    return report();
  }

 private:
  // A step that was enqueued.
  struct Pending {
    index_t step = 0;
    double learning_rate = 0;
    PhaseClock::Seconds seconds{};
    StepFigures figures;   // on the host
    device::Event copied;  // figures
  };
  Pending make_pending() const;
  void learn_from_part(index_t step, index_t part);
  void update(index_t step, StopConditions conditions);
  double wait_for(const Pending& pending);

  optim::Options options_;
  index_t horizon_;
  Learner learner_;
  comm::Resources resources_;
  Reports reports_;
  Coordinator coordinator_;
  FaultInjection fault_;
  PhaseClock clock_;
  StepFigures::Sizes sizes_;
  StepFigures figures_;  // in the memory of the context
  std::array<Pending, 2> steps_;
  index_t pending_ = 0;
  std::size_t first_ = 0;  // of steps_, of those that are pending
  StepReport report_;
};

}  // namespace switchyard::train
