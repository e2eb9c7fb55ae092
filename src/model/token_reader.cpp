#include "model/token_reader.hpp"

#include <algorithm>

#include "base/contract.hpp"

namespace switchyard::model {
namespace {

constexpr index_t fewest_rows = 16;
// Of a pass: what activations and scores take does not grow with the window.
constexpr index_t most_rows = 256;

// Of noise that belongs to a row: behind those of the splits (data::Split).
constexpr std::uint32_t stream = 3;

}  // namespace

Span<const float> TokenReader::scores(Span<const std::int32_t> tokens) {
  SY_EXPECTS(!tokens.empty() && std::ssize(tokens) <= window(), "{} tokens of a window of {}", tokens.size(),
             window());
  // The last one is read in any case: its scores are not kept.
  const auto same = std::ranges::mismatch(known_, tokens.first(tokens.size() - 1)).in1 - known_.begin();
  past_.cut(same);
  known_.assign(tokens.begin(), tokens.end());
  document_begin_.assign(known_.size(), 0);
  for (std::size_t at = 1; at < known_.size(); ++at)
    document_begin_[at] = known_[at - 1] == end_ ? static_cast<std::int32_t>(at) : document_begin_[at - 1];
  Span<const float> last;
  for (index_t at = same; at < std::ssize(tokens); at += most_rows)
    last = read(std::min(most_rows, std::ssize(tokens) - at));
  return last;
}

Span<const float> TokenReader::read(index_t count) {
  device::Context& context = resources_.context;
  context.reset_workspaces();
  upload_.begin(context);
  tiles_.set_sharded(resources_.data_plane, 1, 1, std::max(count, fewest_rows));
  const index_t rows = tiles_.local_rows();
  past_.begin(count);
  const auto of_rows = [&](const auto& value_at) {
    using T = decltype(value_at(index_t{}));
    const device::Placed<T> all = upload_.allocate<T>(rows);
    for (index_t row = 0; row < rows; ++row) all.host[row] = value_at(past_.places().of(row));
    return Span<const T>(all.device);
  };
  const nn::Batch batch{
      .tiles = &tiles_,
      .ids = of_rows([](index_t place) { return place; }),
      .stream = stream,
      .groups = of_rows([](index_t) { return std::int32_t{0}; }),  // nobody counts them
      .tokens = of_rows([&](index_t place) { return known_[as_size(place)]; }),
      .document_begin = of_rows([&](index_t place) { return document_begin_[as_size(place)]; })};
  upload_.send();
  tiles_.place(context);
  const tensor::Matrix logits = model_->logits({context, batch, nn::Mode::evaluation, clock_, nullptr, &past_});
  past_.end();
  Span<const float> scores;
  if (rows > 0) scores = device::fetch(context, Span<const float>(logits.row(count - 1), logits.cols));
  // Also without rows: what this rank has enqueued others wait for, and what fails of it shows here alone.
  context.wait();
  return scores;
}

}  // namespace switchyard::model
