// Adam, AdamW and SGD over the parameter slices that this rank owns, and the learning rate of a step.
//
// optim: optimisers, schedules, clipping. It updates what the slices of a model (nn/parameter_slice.hpp) say
// this rank owns.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/span.hpp"
#include "device/context.hpp"
#include "nn/parameter_slice.hpp"
#include "ops/step_scalars.hpp"
#include "ops/update.hpp"
#include "optim/options.hpp"

namespace switchyard::optim {

// Step counts from 0. Warm-up: rate * (step + 1) / warmup_steps for the first warmup_steps steps. Then
// constant, or from the full rate at the end of warm-up to floor * rate at `horizon`: along half a cosine
// (Loshchilov and Hutter 2017 without restarts) or a line, or constant and along a line over the last
// decay_share of the horizon (warmup_stable_decay: Hu et al. 2024). A pure function: a resumed run goes on
// where it was. Past the horizon the rate stays where it ended.
double learning_rate(const Options& options, index_t horizon, index_t step);

// The optimiser of parameters of that role: routers may have one of their own (optim.gate_name).
OptimiserKind kind_of(const Options& options, nn::Role role);
// Whether weight decay is for them: those of optim.decay_on; by itself all, under AdamW the weights alone.
bool decays(const Options& options, nn::Role role);
// Its state arrays: {"first_moment", "second_moment"}, or {"velocity"}, or none.
std::vector<std::string> state_names(const Options& options, nn::Role role);

// Moments live beside the slices, so the optimiser is sharded exactly as the updates are. Every update is
// elementwise: bits do not depend on how slices are cut, and all of them are one loop over pieces for each kind
// of optimiser, however many experts there are.
//
// normalised_sgd (Chen et al. 2022, Algorithm 1) divides the gradient of a unit (nn::NormTable) by its norm,
// that of the whole unit over all ranks; a unit whose gradient is zero (an expert without samples) stays as it
// is.
//
// A step: the host's numbers of given() go to the device, squares of gradients to all ranks, and agree() and
// update() are enqueued; only not_finite() waits. All numbers lie in the memory that the constructor is told,
// that of the contexts of calls.
class Optimiser {
 public:
  Optimiser(const Options& options, const nn::NormTable& norms, std::vector<nn::ParameterSlice> slices,
            device::MemoryKind memory = device::MemoryKind::host);

  // One array per slice and name, in the order of slices() and state_names(); same element count as the slice.
  Span<float> state(std::size_t slice, std::size_t name) {
    return states_[name].span().subspan(state_begin_[slice], slices_[slice].count);
  }
  const std::vector<nn::ParameterSlice>& slices() const { return slices_; }
  std::vector<std::string> state_names(std::size_t slice) const {
    return optim::state_names(options_, slices_[slice].role);
  }

  // Of step `step`, from 0, with that rate. Without marks.
  ops::StepScalars::Given given(index_t step, double learning_rate) const;
  // From the squares of all ranks, at the beginning of a message, to scalars->agreed.
  void agree(device::Context& context, Span<const std::int64_t> message, Span<const double> sums,
             ops::StepScalars* scalars);
  void update(device::Context& context, const ops::StepScalars* scalars);

  // Not 0 once an update of this rank has left something that is not finite; for kernels.
  const std::int64_t* has_failed() const { return has_failed_.data(); }
  // The name of the first array that it left with a weight or moment that is not finite; empty: none. Waits.
  // Local.
  std::string not_finite(device::Context& context) const;

 private:
  // Slices of one kind of optimiser: neighbours in pieces_.
  struct Kind {
    OptimiserKind optimiser;
    IndexRange pieces;
  };
  // Of pieces_.
  const void* base() const { return slices_.empty() ? nullptr : slices_.front().value; }
  void allocate_states(device::MemoryKind memory);
  void list_pieces(device::MemoryKind memory);
  void list_norms(const nn::NormTable& norms, device::MemoryKind memory);
  void update_kind(device::Context& context, const Kind& kind, const ops::StepScalars* scalars);

  Options options_;
  std::vector<nn::ParameterSlice> slices_;
  Vector<index_t> state_begin_;                // by slice, in each of states_
  std::vector<device::Buffer<float>> states_;  // by name, of all slices

  std::vector<Kind> kinds_;
  Vector<std::int32_t> slice_of_piece_;
  device::Buffer<ops::UpdatePiece> pieces_;
  device::Buffer<std::uint8_t> failed_;      // by piece, of the last update that changed something
  device::Buffer<std::int64_t> has_failed_;  // one

  struct Norms {
    device::Buffer<std::int64_t> square_begin, long_entries, unit_begin, parameter;
    device::Buffer<double> squares, nodes;
    device::Buffer<float> unit_scales;
  } norms_;
};

}  // namespace switchyard::optim
