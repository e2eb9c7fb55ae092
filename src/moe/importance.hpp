// The importance regulariser (Shazeer et al. 2017): the squared coefficient of variation of the experts'
// importance.
#pragma once

#include <span>

namespace switchyard::moe {

// importance[e] = sum over the global batch of the gate weight of expert e, or, for the load regulariser of the
// same paper, of its expected load (ops/load.hpp). With mean m and unbiased variance
// s^2 (divisor E - 1), the loss is weight * s^2 / m^2. It does not change when all samples count twice, nor
// with the number of ranks. One expert: 0.
double importance_loss(std::span<const double> importance, double weight);
// d loss / d importance[e] = d loss / d gate weight of e, the same for every sample.
//   s^2 / m^2 = E^2 / (E - 1) * (sum I^2 / (sum I)^2 - 1 / E)
//   d / d I_e = 2 E^2 / (E - 1) * (I_e / S^2 - Q / S^3),   S = sum I, Q = sum I^2
void importance_gradient(std::span<const double> importance, double weight, std::span<double> gradient);

}  // namespace switchyard::moe
