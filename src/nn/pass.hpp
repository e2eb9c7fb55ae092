// What travels with the rows of a batch through layers, networks and models, forward and back.
#pragma once

#include <cstdint>

#include "base/phase_clock.hpp"
#include "base/span.hpp"
#include "device/context.hpp"
#include "nn/batch_tiles.hpp"
#include "tensor/view.hpp"

namespace switchyard::nn {

class Past;
class Trace;

enum class Mode { training, evaluation };

// This rank's rows of a batch, in global order, and what is known of them: samples; for an expert's network the
// rows that were sent to it, of which it knows no more.
struct Batch {
  const BatchTiles* tiles = nullptr;
  tensor::RowSource rows = {};           // [N, D], where they lie
  Span<const index_t> ids = {};          // [N], within their split: noise belongs to a sample, not to its place
  std::uint32_t step = 0;                // of noise that is drawn anew
  std::uint32_t stream = 0;              // 0 for the training split, other numbers for the others
  Span<const std::int32_t> labels = {};  // [N], of the classes; a gate may route by them
  tensor::ConstMatrix targets = {};      // [N, T], of labels that are real numbers, as the model sees them
  Span<const float> weights = {};        // [N], by which samples count, 1 in the mean; empty: all alike
  Span<const std::int32_t> groups = {};  // [N], or empty
  Span<const std::int32_t> tokens = {};  // [N], of a model of tokens, which has no `rows`; labels follow them
  // [N], of a model of tokens: where in its window a token's document begins
  Span<const std::int32_t> document_begin = {};
  double share = 1;           // these rows of those of the step's batch: less for a part of it
  bool is_first_part = true;  // gradients of later parts are added to its

  // What a row's loss counts, in the mean over the step's batch.
  double row_weight() const { return share / static_cast<double>(tiles->total_rows()); }
};

// One way of a batch through a model. Made where a step begins; what it names outlives the step.
struct Pass {
  device::Context& context;
  const Batch& batch;
  Mode mode;
  PhaseClock& clock;
  Trace* trace = nullptr;  // of a model that is made of modules
  Past* past = nullptr;    // of an evaluation whose rows go on a sequence (nn/past.hpp)

  const BatchTiles& tiles() const { return *batch.tiles; }
  device::Workspace& workspace() const { return context.workspace(); }
  bool is_training() const { return mode == Mode::training; }
  Pass with(const Batch& other) const { return {context, other, mode, clock, trace, past}; }
  Pass with(Mode other) const { return {context, batch, other, clock, trace, past}; }
};

}  // namespace switchyard::nn
