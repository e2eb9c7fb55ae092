#include "model/continuation.hpp"

#include <algorithm>
#include <array>

#include "base/philox.hpp"
#include "comm/agreement.hpp"

namespace switchyard::model {
namespace {

// The rank that holds the sequence draws, and all know what.
std::int32_t draw(TokenReader& reader, comm::Communicator& communicator, Span<const std::int32_t> seen,
                  const TokenChoice& choice, double uniform) {
  const Span<const float> scores = reader.scores(seen);
  std::array<std::int64_t, 1> token{0};
  comm::agree(communicator, [&] {
    if (!scores.empty()) token[0] = choose(scores, choice, uniform);
  });
  communicator.all_reduce_sum(token);
  return static_cast<std::int32_t>(token[0]);
}

}  // namespace

bool continue_text(TokenReader& reader, comm::Resources resources, Span<const std::int32_t> prompt,
                   const ContinuationOptions& options, index_t sample,
                   const std::function<bool(std::int32_t token)>& take) {
  comm::Communicator& communicator = resources.communicator;
  const auto window = as_size(reader.window());
  std::vector<std::int32_t> seen(prompt.end() - std::ssize(prompt.last(std::min(prompt.size(), window))),
                                 prompt.end());
  for (index_t i = 0; i < options.tokens; ++i) {
    communicator.set_phase(i, "sample");
    const Philox random = Philox::at(options.seed, RandomUse::token_choice, static_cast<std::uint64_t>(i),
                                     static_cast<std::uint32_t>(sample));
    const std::int32_t token = draw(reader, communicator, seen, options.choice, random.uniform64());
    if (token == options.end) return true;
    const bool goes_on = take(token);
    if (comm::on_any_rank(communicator, communicator.is_root() && !goes_on)) return false;
    if (seen.size() == window) seen.erase(seen.begin(), seen.end() - static_cast<index_t>((window - 1) / 2));
    seen.push_back(token);
  }
  return false;
}

}  // namespace switchyard::model
