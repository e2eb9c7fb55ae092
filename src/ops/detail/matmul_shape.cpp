#include "ops/detail/matmul_shape.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <limits>

#include "base/contract.hpp"

namespace switchyard::ops::detail {

void check_shape(const MatmulShape& s, const float* bias) {
  // oneDNN counts in int: a larger size ends in a division by zero there, not in a status.
  constexpr index_t largest = std::numeric_limits<std::int32_t>::max();
  SY_EXPECTS(std::min({s.m, s.n, s.k}) >= 0 && std::max({s.m, s.n, s.k}) <= largest,
             "a size of the product {} x {} x {} is not in 0 to {}", s.m, s.n, s.k, largest);
  const index_t a_cols = s.transpose_a == Transpose::no ? s.k : s.m;
  const index_t b_cols = s.transpose_b == Transpose::no ? s.n : s.k;
  SY_EXPECTS(s.lda >= a_cols && s.ldb >= b_cols && s.ldc >= s.n,
             "rows overlap in the product {} x {} x {}: lda {} (at least {}), ldb {} (at least {}), ldc {} (at "
             "least {})",
             s.m, s.n, s.k, s.lda, a_cols, s.ldb, b_cols, s.ldc, s.n);
  const bool wants_bias = s.epilogue != Epilogue::none;
  SY_EXPECTS((bias != nullptr) == wants_bias || s.n == 0,
             "a bias is given if and only if the epilogue adds it");
  SY_EXPECTS(!(s.accumulate && wants_bias), "a product is added to C or has an epilogue, not both");
}

std::string describe(const MatmulShape& s, std::string_view numbers) {
  const auto plain = [](Transpose t) { return t == Transpose::no ? "plain" : "transposed"; };
  return fmt::format(
      "the {} product {} x {} x {} (m, n, k; A {}, lda {}; B {}, ldb {}; ldc {}{}{})", numbers, s.m, s.n, s.k,
      plain(s.transpose_a), s.lda, plain(s.transpose_b), s.ldb, s.ldc, s.accumulate ? ", added to C" : "",
      s.epilogue == Epilogue::none ? "" : (s.epilogue == Epilogue::bias ? ", bias" : ", bias and ReLU"));
}

}  // namespace switchyard::ops::detail
