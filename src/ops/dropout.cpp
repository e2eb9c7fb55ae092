#include "ops/dropout.hpp"

#include "base/contract.hpp"
#include "device/launch.hpp"
#include "ops/detail/expect_shape.hpp"
#include "ops/kernels/dropout.hpp"

namespace switchyard::ops {

void dropout(device::Context& context, const Dropout& dropout, std::uint32_t step, Span<const index_t> ids,
             tensor::ConstMatrix x, tensor::Matrix y) {
  SY_EXPECTS(std::ssize(ids) == x.rows, "{} ids of {} rows", ids.size(), x.rows);
  SY_EXPECTS(dropout.probability >= 0 && dropout.probability < 1, "dropout with probability {}",
             dropout.probability);
  detail::expect_shape("y", y, x.rows, x.cols);
  device::for_each_row(context, x.rows,
                       kernels::DropoutRows{dropout.seed, step, dropout.probability, ids.data(), x, y});
}

}  // namespace switchyard::ops
