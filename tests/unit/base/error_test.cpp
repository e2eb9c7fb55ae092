#include "base/error.hpp"

#include <gtest/gtest.h>

#include "base/contract.hpp"

namespace switchyard {
namespace {

TEST(Error, keeps_its_kind_when_it_crosses_ranks) {
  try {
    throw_agreed(ErrorKind::numeric, "the loss is nan");
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::numeric);
    EXPECT_EQ(exit_code(error.kind()), ExitCode::numeric);
    EXPECT_EQ(name(error.kind()), "NumericError");
  }
}

TEST(Contract, names_the_condition_and_the_values) {
  const int rows = 3;
  try {
    SY_EXPECTS(rows == 4, "got {} rows", rows);
    FAIL() << "did not throw";
  } catch (const ContractViolation& error) {
    EXPECT_NE(std::string(error.what()).find("got 3 rows"), std::string::npos);
    EXPECT_NE(std::string(error.what()).find("rows == 4"), std::string::npos);
  }
}

}  // namespace
}  // namespace switchyard
