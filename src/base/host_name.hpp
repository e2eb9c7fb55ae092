// The name of this machine, as messages give it.
#pragma once

#include <string>

namespace switchyard {

// "unknown host" where the system does not tell.
std::string host_name();

}  // namespace switchyard
