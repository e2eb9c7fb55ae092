// What the conformance checks run over. Each executable of this folder defines harnesses() for its
// communicators.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <ostream>
#include <string>
#include <vector>

#include "comm/communicator.hpp"

namespace switchyard::comm {

struct Harness {
  std::string name;
  // Calls the body once per rank, and returns when all have returned.
  std::function<void(const std::function<void(Communicator&)>& body)> run;
};

std::vector<Harness> harnesses();

// How GoogleTest prints the parameter of a failed test.
inline void PrintTo(const Harness& harness, std::ostream* out) { *out << harness.name; }

// Base of the parametrised tests.
class OverCommunicators : public testing::TestWithParam<Harness> {
 protected:
  static void on_all_ranks(const std::function<void(Communicator&)>& body) { GetParam().run(body); }
};

inline std::string harness_name(const testing::TestParamInfo<Harness>& info) { return info.param.name; }

// Small integers with plain names, for expectations.
inline int rank_of(const Communicator& communicator) { return communicator.rank().value; }
}  // namespace switchyard::comm
