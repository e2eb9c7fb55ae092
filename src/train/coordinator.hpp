// The one point of a step where all ranks agree.
#pragma once

#include <cstdint>
#include <vector>

#include "base/span.hpp"
#include "comm/resources.hpp"
#include "moe/statistics.hpp"
#include "optim/optimiser.hpp"
#include "train/batch_loader.hpp"

namespace switchyard::train {

// What a step asks of the run around it, sampled once per step and rank.
struct StopConditions {
  bool stop_requested = false;
  bool out_of_time = false;
};

struct Agreement {
  double gradient_norm = 0;  // of the whole model, before clipping
  // The squared norms by the model's norm table; lives until the next agreement.
  Span<const double> squares;
  bool stop_requested = false;  // by a signal to any rank
  bool out_of_time = false;     // run.max_minutes
};

// Throws NumericError, with the name of the array, if an update of this rank left something that is not finite.
// Local: for comm::agree().
void expect_finite_updates(const optim::Optimiser& optimiser);

// Joins what every rank knows of a step: the squared norms of the gradients it owns, its counts, whether it was
// asked to stop. One all-reduce of integers carries all of it: a square travels as the bit pattern of a float64
// to which every other rank adds zero, so the sum is exact, and every rank then adds the squares in the order
// of the global table.
class Coordinator {
 public:
  Coordinator(comm::Resources resources, nn::NormTable norms);

  // Collective. statistics' counts become those of the global batch. Throws NumericError on all ranks if the
  // norm is not finite, or an earlier update left something that is not. out_of_time of the root rank counts.
  // And the DataError of a batch that could not be read on some rank.
  Agreement agree(const optim::Optimiser& optimiser, const BatchLoader& loader, moe::Statistics& statistics,
                  StopConditions conditions);

 private:
  void write_squares(const nn::ParameterSlice& slice);
  void read_squares();

  comm::Resources resources_;
  nn::NormTable norms_;
  Vector<std::int64_t> message_;  // norms_.squares() bit patterns, counts, three marks
  std::vector<double> pieces_;    // squares as they travelled
  Vector<double> squares_;        // by entry
};

}  // namespace switchyard::train
