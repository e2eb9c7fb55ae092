// Adam, AdamW and SGD over the parameter slices that this rank owns, and the learning rate of a step.
//
// optim: optimisers, schedules, clipping. It updates what the slices of a model (nn/parameter_slice.hpp) say
// this rank owns.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "base/span.hpp"
#include "device/context.hpp"
#include "nn/parameter_slice.hpp"
#include "optim/options.hpp"

namespace switchyard::optim {

// Step counts from 0. Warm-up: rate * (step + 1) / warmup_steps for the first warmup_steps steps. Then
// constant, or from the full rate at the end of warm-up to floor * rate at `horizon`: along half a cosine
// (Loshchilov and Hutter 2017 without restarts) or a line, or constant and along a line over the last
// decay_share of the horizon (warmup_stable_decay: Hu et al. 2024). A pure function: a resumed run goes on
// where it was. Past the horizon the rate stays where it ended.
double learning_rate(const Options& options, index_t horizon, index_t step);

// The factor for all gradients that brings their global norm down to max_norm; 1 if it is smaller, or max_norm
// is 0.
double clip_scale(double norm, double max_norm);

// The optimiser of parameters of that role: routers may have one of their own (optim.gate_name).
OptimiserKind kind_of(const Options& options, nn::Role role);
// Whether weight decay is for them: those of optim.decay_on; by itself all, under AdamW the weights alone.
bool decays(const Options& options, nn::Role role);
// Its state arrays: {"first_moment", "second_moment"}, or {"velocity"}, or none.
std::vector<std::string> state_names(const Options& options, nn::Role role);

// What an update needs to know of its step.
struct UpdateStep {
  index_t step = 0;  // counts from 0
  double learning_rate = 0;
  double gradient_scale = 1;   // clipping
  Span<const double> squares;  // squared norms of gradients by the model's norm table
};

// Moments live beside the slices, so the optimiser is sharded exactly as the updates are. Every update is
// elementwise: bits do not depend on how slices are cut, and all of them are one loop over pieces, however many
// experts there are.
//
// normalised_sgd (Chen et al. 2022, Algorithm 1) divides the gradient of a unit (nn::NormTable) by its norm,
// that of the whole unit over all ranks; a unit whose gradient is zero (an expert without samples) stays as it
// is.
class Optimiser {
 public:
  Optimiser(const Options& options, const nn::NormTable& norms, std::vector<nn::ParameterSlice> slices);

  // One array per slice and name, in the order of slices() and state_names(); same element count as the slice.
  Span<float> state(std::size_t slice, std::size_t name) {
    return states_[name].span().subspan(state_begin_[slice], slices_[slice].count);
  }
  const std::vector<nn::ParameterSlice>& slices() const { return slices_; }
  std::vector<std::string> state_names(std::size_t slice) const {
    return optim::state_names(options_, slices_[slice].role);
  }

  void update(device::Context& context, const UpdateStep& step);
  // The name of the first array that an update left with a weight or moment that is not finite; empty: none.
  // Local.
  const std::string& not_finite() const { return not_finite_; }

 private:
  struct Piece {  // neighbouring elements of a slice
    std::size_t slice;
    IndexRange elements;
  };
  double unit_norm(index_t unit, Span<const double> squares) const;
  // Whether all is finite that it leaves.
  bool update_piece(device::Context& context, const UpdateStep& step, const Piece& piece);

  Options options_;
  nn::NormTable norms_;
  std::vector<nn::ParameterSlice> slices_;
  Vector<Piece> pieces_;
  Vector<std::uint8_t> failed_;                              // by piece, of the last update
  Vector<double> unit_norms_;                                // of the last update, where it divides by them
  std::array<float, nn::role_names.size()> weight_decay_{};  // by role
  double bias_correction1_ = 1;                              // of the last update, as the next one: 1 - beta1^t
  double bias_correction2_ = 1;
  Vector<index_t> state_begin_;                // by slice, in each of states_
  std::vector<device::Buffer<float>> states_;  // by name, of all slices
  std::string not_finite_;
};

}  // namespace switchyard::optim
