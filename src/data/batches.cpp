#include "data/batches.hpp"

#include <algorithm>

#include "base/contract.hpp"

namespace switchyard::data {

index_t Batching::batches_per_epoch() const {
  SY_EXPECTS(samples >= 1 && batch_size >= 1, "{} samples in batches of {}", samples, batch_size);
  return (samples - 1) / batch_size + 1;
}

IndexRange Batching::places_of(index_t batch) const {
  const index_t batches = batches_per_epoch();
  SY_EXPECTS(batch >= 0 && batch < batches, "batch {} of an epoch of {}", batch, batches);
  const index_t begin = batch * batch_size;
  return {begin, begin + std::min(batch_size, samples - begin)};
}

Position Batching::position_of(index_t step) const {
  SY_EXPECTS(step >= 0, "step {}", step);
  const index_t batches = batches_per_epoch();
  return {step / batches, step % batches};
}

}  // namespace switchyard::data
