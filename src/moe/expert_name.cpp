#include "moe/expert_name.hpp"

#include <fmt/format.h>

namespace switchyard::moe {

std::string expert_name(ExpertId id) { return fmt::format("experts/{:04}", id.value); }

}  // namespace switchyard::moe
