// For the test of device_code_test.py: a kernel that nothing launches.
#pragma once

#include "device/team.hpp"

namespace switchyard::device::test {

struct NeverLaunched {
  index_t scratch_bytes() const { return 0; }
  template <class Team>
  SY_HD void operator()(const Team& team, index_t) const {
    team.sync();
  }
};

}  // namespace switchyard::device::test
