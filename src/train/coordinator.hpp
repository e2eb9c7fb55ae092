// The one point of a step where all ranks agree.
#pragma once

#include <cstdint>

#include "base/span.hpp"
#include "comm/resources.hpp"
#include "ops/agreement.hpp"
#include "optim/optimiser.hpp"
#include "train/batch_loader.hpp"
#include "train/step_figures.hpp"

namespace switchyard::train {

// What a step asks of the run around it, sampled once per step and rank.
struct StopConditions {
  bool stop_requested = false;
  bool out_of_time = false;
};

struct Agreement {
  double gradient_norm = 0;     // of the whole model, before clipping
  bool stop_requested = false;  // by a signal to any rank
  bool out_of_time = false;     // run.max_minutes
};

// Throws NumericError, with the name of the array, if an update of this rank left something that is not finite.
// Waits. Local: for comm::agree().
void expect_finite_updates(const optim::Optimiser& optimiser, device::Context& context);

// Joins what every rank knows of a step: the squared norms of the gradients it owns, its counts, whether it was
// asked to stop. One all-reduce of integers carries all of it: a square travels as the bit pattern of a float64
// to which every other rank adds zero, so the sum is exact, and every rank then adds the squares in the order
// of the global table. All of it is enqueued; the host reads the figures when they have come back.
class Coordinator {
 public:
  // Of the slices of `optimiser`.
  Coordinator(comm::Resources resources, const nn::NormTable& norms, const optim::Optimiser& optimiser);

  // Behind the gradients of a step whose counts are in `figures`, with the host's numbers of it:
  // figures.message becomes that of all ranks, and scalars->agreed what follows from it. Collective; waits for
  // nothing.
  void enqueue(optim::Optimiser& optimiser, const ops::StepScalars::Given& given, StepFigures& figures);

  // From figures that are on the host. Collective where something has failed, and throws then on all ranks
  // alike, in this order: the DataError of a batch that could not be read on some rank; the NumericError of an
  // earlier update that left something not finite; that of a norm which is not.
  Agreement read(const optim::Optimiser& optimiser, const BatchLoader& loader, StepFigures& figures);

 private:
  void list_squares(const nn::NormTable& norms, const std::vector<nn::ParameterSlice>& slices);

  comm::Resources resources_;
  const void* base_ = nullptr;  // of the next
  device::Buffer<ops::SquaredPiece> pieces_;
  device::Buffer<ops::SquarePlace> places_;
  device::Buffer<double> sums_;  // by piece
};

}  // namespace switchyard::train
