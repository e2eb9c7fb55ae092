// What experts are chosen by, where it is not their scores alone.
#pragma once

#include "base/span.hpp"
#include "device/context.hpp"
#include "ops/moe/gating.hpp"
#include "tensor/view.hpp"

namespace switchyard::ops {

// values[n, e] = e^z_e + bias_e, with e^z_e divided by their sum over all experts or by nothing: what experts
// are chosen by, where a bias balances their loads (Wang et al. 2024).
void biased_shares(device::Context&, tensor::ConstMatrix scores, WeightSum sum, Span<const float> bias,
                   tensor::Matrix values);

// Groups of as many neighbouring experts each, of which a row has `kept`.
struct ExpertGroups {
  index_t count = 0;
  index_t kept = 0;
};
// values[n, e] = -infinity but for the experts of the row's best groups, by the sum of a group's two largest
// values, ties to the lower group (DeepSeek-V3, 2024). A NaN counts as -infinity.
void keep_best_groups(device::Context&, const ExpertGroups& groups, tensor::Matrix values);

}  // namespace switchyard::ops
