// What a person should know before a run spends hours: a configuration, data and a layout that work together,
// but hardly as they were meant to.
#pragma once

#include <string>
#include <vector>

#include "data/dataset.hpp"
#include "device/context.hpp"
#include "moe/placement.hpp"

namespace switchyard::run {

struct Config;

// One sentence each: ranks without samples or experts, a batch larger than the training split, classes without
// a training sample, a single class, pixels that are not normalised, products of
// bf16 on a processor that has none. `placement` is the run's, on all its
// ranks. Local; reads the labels of the training split until every class was seen, and up to 1,000 images.
std::vector<std::string> start_warnings(const Config& config, const data::Dataset& dataset,
                                        const moe::Placement& placement, device::DeviceKind device);

}  // namespace switchyard::run
