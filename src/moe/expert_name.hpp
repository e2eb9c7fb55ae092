// How experts are called.
#pragma once

#include <string>

#include "base/ids.hpp"

namespace switchyard::moe {

// What the names of its parameters begin with: "experts/0003".
std::string expert_name(ExpertId id);

}  // namespace switchyard::moe
