#include "moe/experts.hpp"

#include "device/thread_pool.hpp"
#include "moe/expert_name.hpp"
#include "ops/rows.hpp"

namespace switchyard::moe {
namespace {

std::vector<std::string> names_of(const std::string& scope, Span<const ExpertId> experts) {
  std::vector<std::string> names;
  for (const ExpertId id : experts) names.push_back(scope + expert_name(id));
  return names;
}

}  // namespace

Experts::Experts(const std::string& scope, const nn::NetworkShape& shape, ExpertHead head,
                 const nn::NetworkOptions& options, Span<const ExpertId> hosted, std::uint64_t seed)
    : head_(head),
      hosted_(hosted.begin(), hosted.end()),
      network_(names_of(scope, hosted), shape, options, seed),
      gradient_(network_) {}

ExpertParts Experts::returned() const {
  return {record_.output(), network_.shown_hidden() > 0 ? network_.hidden(record_) : tensor::Matrix()};
}

void Experts::forward(const nn::Pass& pass, const Exchange& exchange) {
  tiles_.set_local(exchange.padded_rows(), exchange.samples(), tile_rows);
  batch_ = {.tiles = &tiles_, .rows = exchange.input(), .is_first_part = pass.batch.is_first_part};
  const nn::Pass own = pass.with(batch_);
  network_.begin_forward(own, record_);
  for (index_t stage = 0; stage < network_.stage_count(); ++stage) {
    const bool last = stage + 1 == network_.stage_count();
    pass.context.pool().parallel_for(tiles_.local_count(), [&](index_t tile) {
      network_.forward_tile(own, stage, tile, record_);
      if (last && head_ == ExpertHead::log_softmax) {
        const tensor::Matrix y = record_.output().rows_from(tiles_.rows(tile));
        ops::log_softmax(own.context, y, y);
      }
    });
    network_.join_forward(own, stage, record_);
  }
}

void Experts::begin_backward(const nn::Pass& pass) {
  network_.begin_backward(pass.with(batch_), record_);
  partials_ = pass.workspace().allocate<float>(tiles_.local_count() * network_.partial_width());
}

void Experts::backward(const nn::Pass& pass) {
  const nn::Pass own = pass.with(batch_);
  for (index_t stage = network_.stage_count(); stage-- > 0;) {
    const bool last = stage + 1 == network_.stage_count();
    pass.context.pool().parallel_for(tiles_.local_count(), [&](index_t tile) {
      if (last && head_ == ExpertHead::log_softmax) {
        const IndexRange rows = tiles_.rows(tile);
        const tensor::Matrix dy = record_.d_output().rows_from(rows);
        ops::log_softmax_backward(own.context, record_.output().rows_from(rows), dy, dy);
      }
      network_.backward_tile(own, stage, tile, record_, partials_.data() + tile * network_.partial_width());
    });
    network_.join_backward(own, stage, record_);
  }
}

}  // namespace switchyard::moe
