// Losses of one sample by their formulas in float64. Shares nothing with src/.
#pragma once

#include <cstdint>
#include <vector>

namespace switchyard::reference {

// Safe for any finite values: the largest is taken out first.
std::vector<double> softmax_of(const std::vector<double>& values);

// -log softmax(f)_t
double cross_entropy(const std::vector<double>& f, std::int64_t label);
// log(1 + e^(-y f)), y = -1 for class 0 and +1 for class 1
double logistic(double f, std::int64_t label);
// -log softmax(softmax(f))_t
double double_softmax(const std::vector<double>& f, std::int64_t label);

}  // namespace switchyard::reference
