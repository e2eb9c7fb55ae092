#include "base/contract.hpp"

#include "base/error.hpp"

namespace switchyard {

void contract_violated(const char* condition, const char* file, int line, const std::string& message) {
  throw ContractViolation(
      fmt::format("{} ({} does not hold at {}:{}); this is a defect of switchyard, please report it", message,
                  condition, file, line));
}

}  // namespace switchyard
