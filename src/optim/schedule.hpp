// The learning rate of a step.
//
// optim: optimisers, schedules, clipping. It updates what nn::NetworkGradient says this rank owns.
#pragma once

#include "base/ids.hpp"
#include "optim/options.hpp"

namespace switchyard::optim {

// Step counts from 0. Warm-up: rate * (step + 1) / warmup_steps for the first warmup_steps steps. Then
// constant, or half a cosine from the full rate at the end of warm-up to 0 at `horizon` (Loshchilov and Hutter
// 2017 without restarts). A pure function: a resumed run goes on where it was. Past the horizon the cosine
// stays 0.
double learning_rate(const Options& options, index_t horizon, index_t step);

}  // namespace switchyard::optim
