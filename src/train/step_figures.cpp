#include "train/step_figures.hpp"

#include <cstring>

#include "device/copy.hpp"
#include "device/transfer.hpp"
#include "ops/agreement.hpp"

namespace switchyard::train {

StepFigures::StepFigures(Sizes sizes, device::MemoryKind memory) : sizes_(sizes) {
  block_ = device::Buffer<std::byte>(sums_begin + (sizes.sums + message_count()) * index_t{8}, memory);
  static_assert(sizeof(double) == 8 && sizeof(std::int64_t) == 8);
  const ops::StepScalars first;
  device::copy_now(block_.data(), memory, &first, sizeof(first));
}

index_t StepFigures::message_count() const { return sizes_.squares + sizes_.counts + ops::mark_count; }

void StepFigures::clear(device::Context& context) {
  device::zero_on_device<std::byte>(context, block_.span().subspan(sums_begin));
}

void StepFigures::give(device::Context& context, const ops::StepScalars::Given& given) {
  if (context.memory() != device::MemoryKind::device) {
    scalars()->given = given;
    return;
  }
  const Span<ops::StepScalars::Given> host = context.host_workspace().allocate<ops::StepScalars::Given>(1);
  host[0] = given;
  device::place_bytes(context, context.compute(), host.data(), &scalars()->given, sizeof(given));
}

void StepFigures::copy_to(device::Context& context, StepFigures& host) {
  if (context.memory() == device::MemoryKind::device) {
    device::fetch_bytes(context, context.compute(), block_.data(), host.block_.data(), as_size(block_.count()));
  } else {
    std::memcpy(host.block_.data(), block_.data(), as_size(block_.count()));
  }
}

}  // namespace switchyard::train
