// What moe.partition says.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace switchyard::moe {

// A partition of the labels by hand, as moe.partition writes it: "0 7 | 1 9 | 2 4". The labels of each expert,
// in the order of the experts: `experts` groups, none empty, no label twice. ConfigError with the text if it is
// malformed.
std::vector<std::vector<std::int32_t>> parse_partition(std::string_view text, std::int64_t experts);

}  // namespace switchyard::moe
