#include "moe/experts.hpp"

#include <fmt/format.h>

#include "base/error.hpp"
#include "device/thread_pool.hpp"
#include "ops/rows.hpp"

namespace switchyard::moe {

std::string Experts::name(ExpertId id) { return fmt::format("experts/{:04}", id.value); }

Experts::Expert::Expert(ExpertId id_in, const nn::NetworkShape& shape, const nn::NetworkOptions& options,
                        std::uint64_t seed)
    : id(id_in), network(Experts::name(id_in), shape, options, seed), gradient(network, {}) {}

Experts::Experts(const nn::NetworkShape& shape, ExpertHead head, const nn::NetworkOptions& options,
                 Span<const ExpertId> hosted, std::uint64_t seed)
    : head_(head), shows_hidden_(shape.shows_hidden), frozen_(options.frozen) {
  for (const ExpertId id : hosted) experts_.push_back(std::make_unique<Expert>(id, shape, options, seed));
}

// body(expert's pass, expert, tile) for every tile of every expert, spread over the pool.
void Experts::run_tiles(const nn::Pass& pass, const auto& body) {
  tasks_.clear();
  for (std::size_t e = 0; e < experts_.size(); ++e) {
    for (index_t tile = 0; tile < experts_[e]->tiles.local_count(); ++tile) {
      tasks_.push_back({static_cast<std::int32_t>(e), static_cast<std::int32_t>(tile)});
    }
  }
  pass.context.pool().parallel_for(std::ssize(tasks_), [&](index_t t) {
    const Task task = tasks_[t];
    Expert& expert = *experts_[task.expert];
    body(pass.with(expert.batch), expert, index_t{task.part});
  });
}

void Experts::forward(const nn::Pass& pass, const Exchange& exchange) {
  for (auto& part : returned_) part.clear();
  for (std::size_t e = 0; e < experts_.size(); ++e) {
    Expert& expert = *experts_[e];
    const LocalExpert local(static_cast<int>(e));
    expert.batch = {.tiles = &expert.tiles, .rows = exchange.expert_input(local)};
    expert.tiles.set_local(expert.batch.rows.rows, exchange.expert_samples(local), tile_rows);
    expert.network.begin_forward(pass.with(expert.batch), expert.record);
    returned_[Returned::output].push_back(expert.record.layers.back().output);
    if (shows_hidden_) returned_[Returned::hidden].push_back(expert.network.hidden(expert.record));
  }
  for (index_t stage = 0; stage < stage_count(); ++stage) {
    const bool last = stage + 1 == stage_count();
    run_tiles(pass, [&](const nn::Pass& own, Expert& expert, index_t tile) {
      expert.network.forward_tile(own, stage, tile, expert.record);
      if (last && head_ == ExpertHead::log_softmax) {
        const tensor::Matrix y = expert.record.layers.back().output.rows_from(expert.tiles.rows(tile));
        ops::log_softmax(own.context, y, y);
      }
    });
    for (const auto& expert : experts_)
      expert->network.join_forward(pass.with(expert->batch), stage, expert->record);
  }
}

void Experts::begin_backward(const nn::Pass& pass) {
  for (auto& part : d_returned_) part.clear();
  for (const auto& expert : experts_) {
    expert->network.begin_backward(pass.with(expert->batch), expert->record);
    expert->partials =
        pass.workspace().allocate<float>(expert->tiles.local_count() * expert->network.partial_width());
    d_returned_[Returned::output].push_back(expert->record.layers.back().d_output);
    if (shows_hidden_) d_returned_[Returned::hidden].push_back(expert->record.d_hidden);
  }
}

void Experts::backward(const nn::Pass& pass) {
  for (index_t stage = stage_count(); stage-- > 0;) {
    const bool last = stage + 1 == stage_count();
    run_tiles(pass, [&](const nn::Pass& own, Expert& expert, index_t tile) {
      if (last && head_ == ExpertHead::log_softmax) {
        const IndexRange rows = expert.tiles.rows(tile);
        const nn::LayerRecord& layer = expert.record.layers.back();
        const tensor::Matrix dy = layer.d_output.rows_from(rows);
        ops::log_softmax_backward(own.context, layer.output.rows_from(rows), dy, dy);
      }
      expert.network.backward_tile(own, stage, tile, expert.record, expert.partials.data());
    });
    for (const auto& expert : experts_)
      expert->network.join_backward(pass.with(expert->batch), stage, expert->record);
  }
}

void Experts::reduce_gradients(const nn::Pass& pass) {
  tasks_.clear();
  for (std::size_t e = 0; e < experts_.size(); ++e) {
    // Part -1 adds the tiles' partials; the others are blocks of the large matrices.
    for (index_t part = -1; part < experts_[e]->gradient.local_block_count(); ++part) {
      tasks_.push_back({static_cast<std::int32_t>(e), static_cast<std::int32_t>(part)});
    }
  }
  pass.context.pool().parallel_for(std::ssize(tasks_), [&](index_t t) {
    const Task task = tasks_[t];
    Expert& expert = *experts_[task.expert];
    if (task.part < 0) {
      expert.gradient.reduce_partials(pass.with(expert.batch), expert.partials);
    } else {
      expert.gradient.compute_local_block(task.part, expert.record);
    }
  });
}

}  // namespace switchyard::moe
