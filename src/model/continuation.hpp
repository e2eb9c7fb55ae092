// A text that a model goes on with.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>

#include "model/token_choice.hpp"
#include "model/token_reader.hpp"

namespace switchyard::model {

struct ContinuationOptions {
  index_t tokens = 0;  // at most so many
  TokenChoice choice;
  std::uint64_t seed = 0;
  std::optional<std::int32_t> end = {};  // a token behind which there is nothing
};

// Draws tokens behind `prompt`, of which the model sees the last `window`; where they fill the window, it reads
// the last half of it again, so that it sees half a window to a whole one. Token i of sample `sample` is a
// function of (seed, sample, i), the prompt and the model: the same on any ranks and threads. `take` is given
// each, on all ranks, and says on the root whether to go on. The last one is `end`, which is not given to it,
// or the tokens are up. Returns whether it was. Collective, with the same arguments on all ranks; throws
// NumericError on all of them.
bool continue_text(TokenReader& reader, comm::Resources resources, Span<const std::int32_t> prompt,
                   const ContinuationOptions& options, index_t sample,
                   const std::function<bool(std::int32_t token)>& take);

}  // namespace switchyard::model
