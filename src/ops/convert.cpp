#include "ops/convert.hpp"

#include "base/contract.hpp"
#include "device/launch.hpp"

namespace switchyard::ops {
namespace kernels {

struct ToBfloat16 {
  const float* from;
  bfloat16* to;
  SY_HD void operator()(index_t i) const { to[i] = to_bfloat16(from[i]); }
};

}  // namespace kernels

void to_bfloat16(device::Context& context, Span<const float> from, Span<bfloat16> to) {
  SY_EXPECTS(from.size() == to.size(), "{} values into {} places", from.size(), to.size());
  device::for_each(context, std::ssize(from), kernels::ToBfloat16{from.data(), to.data()});
}

}  // namespace switchyard::ops
