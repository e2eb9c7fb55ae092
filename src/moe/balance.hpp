// The balance loss of the Switch transformer (Fedus et al. 2021, equation 4).
#pragma once

#include "base/ids.hpp"

#include "base/span.hpp"

namespace switchyard::moe {

// With f_e the share of the chosen slots that expert e got and P_e the gate's mean probability of e over the
// global batch: weight * E * sum_e f_e P_e. 1 at balance (times weight), E at collapse. With one slot this is
// the loss of Chen et al. 2022, M^2 times the mean over m of f_m P_m. load[e] counts slots; probability[e] is a
// sum over samples.
double balance_loss(Span<const double> load, Span<const double> probability, double weight);
// d loss / d p_e of one sample, the same for every sample: weight * E * f_e / samples.
void balance_gradient(Span<const double> load, index_t samples, double weight, Span<double> gradient);

}  // namespace switchyard::moe
