// Losses of what each expert gets of the global batch, and their gradients.
#pragma once

#include "base/span.hpp"

namespace switchyard::moe {

// The balance loss of the Switch transformer (Fedus et al. 2021, equation 4). With f_e the share of the chosen
// slots that expert e got and P_e the gate's mean probability of e over the global batch: weight * E * sum_e
// f_e P_e. 1 at balance (times weight), E at collapse. With one slot this is the loss of Chen et al. 2022, M^2
// times the mean over m of f_m P_m. load[e] counts slots; probability[e] is a sum over samples.
double balance_loss(Span<const double> load, Span<const double> probability, double weight);
// d loss / d p_e of one sample, the same for every sample: weight * E * f_e / samples.
void balance_gradient(Span<const double> load, index_t samples, double weight, Span<double> gradient);

// The squared coefficient of variation: the importance and the load regularisers (Shazeer et al. 2017).
// amount[e]: what expert e got of the global batch; the sum of its gate weights (importance) or its expected
// load (ops/moe/load.hpp). With mean m and unbiased variance s^2 (divisor E - 1): weight * s^2 / m^2. It does
// not change when all samples count twice, nor with the number of ranks. One expert: 0.
double squared_variation(Span<const double> amount, double weight);
// d loss / d amount[e], which is d loss / d gate weight of e, the same for every sample.
//   s^2 / m^2 = E^2 / (E - 1) * (sum I^2 / (sum I)^2 - 1 / E)
//   d / d I_e = 2 E^2 / (E - 1) * (I_e / S^2 - Q / S^3),   S = sum I, Q = sum I^2
void squared_variation_gradient(Span<const double> amount, double weight, Span<double> gradient);

}  // namespace switchyard::moe
