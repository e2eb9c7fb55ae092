#include "ops/moe/choice.hpp"

#include "base/contract.hpp"
#include "device/launch.hpp"
#include "ops/detail/expect_shape.hpp"
#include "ops/moe/kernels/choice.hpp"

namespace switchyard::ops {

using detail::expect_shape;

void biased_shares(device::Context& context, tensor::ConstMatrix scores, WeightSum sum, Span<const float> bias,
                   tensor::Matrix values) {
  expect_shape("values", values, scores.rows, scores.cols);
  SY_EXPECTS(std::ssize(bias) == scores.cols, "{} biases for {} experts", bias.size(), scores.cols);
  SY_EXPECTS(sum == WeightSum::experts || sum == WeightSum::one, "shares of the chosen before the choice");
  device::for_each_row(context, scores.rows, kernels::BiasedShares{scores, sum, bias.data(), values});
}

void keep_best_groups(device::Context& context, const ExpertGroups& groups, tensor::Matrix values) {
  SY_EXPECTS(groups.count > 0 && values.cols % groups.count == 0, "{} groups of {} experts", groups.count,
             values.cols);
  SY_EXPECTS(groups.kept > 0 && groups.kept <= groups.count, "{} of {} groups", groups.kept, groups.count);
  device::for_each_row(context, values.rows, kernels::KeepBestGroups{groups, values});
}

}  // namespace switchyard::ops
