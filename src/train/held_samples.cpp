#include "train/held_samples.hpp"

namespace switchyard::train {

index_t HeldSamples::bytes_of(const data::Dataset& dataset, data::Split split) {
  return dataset.size(split) * dataset.shape().features() * static_cast<index_t>(sizeof(float));
}

// Not a Buffer, which writes zeros to all of it.
HeldSamples::HeldSamples(const data::Dataset& dataset, data::Split split)
    : dataset_(&dataset),
      split_(split),
      rows_(static_cast<float*>(
          device::allocate_bytes(device::MemoryKind::host, as_size(bytes_of(dataset, split))))),
      labels_(dataset.size(split)),
      made_(dataset.size(split), 0) {}

void HeldSamples::make(Span<const index_t> samples) {
  const index_t features = dataset_->shape().features();
  for (const index_t& sample : samples) {
    if (made_[sample] != 0) continue;
    dataset_->fill(split_, {&sample, 1}, {rows_.get() + sample * features, 1, features});
    dataset_->fill_labels(split_, {&sample, 1}, {&labels_[sample], 1});
    made_[sample] = 1;
  }
}

}  // namespace switchyard::train
