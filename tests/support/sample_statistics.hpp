// Statistics of a mixture with known numbers.
#pragma once

#include <cstdint>
#include <vector>

#include "moe/statistics.hpp"

namespace switchyard::test {

// [classes][experts]: how many samples of a class went to an expert. Every gate is one-hot and every prediction
// is right, so the table by prediction is the same and importance and load are the column sums. No loss.
moe::Statistics statistics_of(const std::vector<std::vector<std::int64_t>>& samples_by_class);

// 3 classes, 4 experts, 1000 samples, of which 100 are predicted wrongly; expert 3 is dead.
moe::Statistics sample_statistics();

// Of text: 2 mixture layers of 3 experts and 2 domains, 1000 bytes, half a bit a byte. Expert 2 of the second
// layer is dead.
moe::Statistics text_statistics();

}  // namespace switchyard::test
