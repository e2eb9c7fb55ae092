// The token that follows, drawn from a model's scores.
#pragma once

#include <cstdint>
#include <vector>

#include "base/span.hpp"

namespace switchyard::model {

struct TokenChoice {
  double temperature = 1;  // 0: the most probable token, of equal ones the lowest
  double top_p = 1;        // of the most probable tokens, as few as have this probability together
};

// p_i = exp(scores_i / temperature) / sum, then 0 but for the tokens of top_p (Holtzman et al. 2020; at least
// one, of equal ones the lower first), divided by their sum. In float64.
std::vector<double> probabilities(Span<const float> scores, const TokenChoice& choice);

// The token in whose part of [0, 1) `uniform` lies. Throws NumericError for a score that is not finite.
std::int32_t choose(Span<const float> scores, const TokenChoice& choice, double uniform);

}  // namespace switchyard::model
