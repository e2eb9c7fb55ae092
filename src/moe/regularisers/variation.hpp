// The squared coefficient of variation, of which the importance and the load regularisers are (Shazeer et al.
// 2017).
#pragma once

#include "base/span.hpp"

namespace switchyard::moe {

// amount[e]: what expert e got of the global batch; the sum of its gate weights (importance) or its expected
// load (ops/moe/load.hpp). With mean m and unbiased variance s^2 (divisor E - 1): weight * s^2 / m^2. It does
// not change when all samples count twice, nor with the number of ranks. One expert: 0.
double squared_variation(Span<const double> amount, double weight);
// d loss / d amount[e], which is d loss / d gate weight of e, the same for every sample.
//   s^2 / m^2 = E^2 / (E - 1) * (sum I^2 / (sum I)^2 - 1 / E)
//   d / d I_e = 2 E^2 / (E - 1) * (I_e / S^2 - Q / S^3),   S = sum I, Q = sum I^2
void squared_variation_gradient(Span<const double> amount, double weight, Span<double> gradient);

}  // namespace switchyard::moe
