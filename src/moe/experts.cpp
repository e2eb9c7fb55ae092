#include "moe/experts.hpp"

#include "device/tile_runs.hpp"
#include "moe/expert_name.hpp"
#include "nn/network_gradient.hpp"

namespace switchyard::moe {
namespace {

std::vector<std::string> names_of(const std::string& scope, Span<const ExpertId> experts) {
  std::vector<std::string> names;
  for (const ExpertId id : experts) names.push_back(scope + expert_name(id));
  return names;
}

}  // namespace

Experts::Experts(const std::string& scope, const nn::NetworkShape& shape, const nn::NetworkOptions& options,
                 Span<const ExpertId> hosted, std::uint64_t seed, const Sharing& sharing)
    : hosted_(hosted.begin(), hosted.end()), network_(names_of(scope, hosted), shape, options, seed) {
  if (sharing.blocks.count > 0) {
    of_blocks_.emplace(network_, sharing.blocks, sharing.replicas);
  } else {
    whole_.emplace(network_);
  }
}

ExpertParts Experts::returned() const {
  return {record_.output(), network_.shown_hidden() > 0 ? network_.hidden(record_) : tensor::Matrix()};
}

void Experts::forward(const nn::Pass& pass, const DispatchPlan& plan, const tensor::RowSource& input) {
  tiles_.set_local(plan.padded_rows(), plan.expert_rows(), tile_rows);
  tiles_.place(pass.context);
  batch_ = {.tiles = &tiles_, .rows = input, .is_first_part = pass.batch.is_first_part};
  network_.forward(pass.with(batch_), record_);
}

void Experts::begin_backward(const nn::Pass& pass) {
  network_.begin_backward(pass.with(batch_), record_);
  partials_ = pass.workspace().allocate<float>(tiles_.local_count() * network_.partial_width());
}

void Experts::backward(const nn::Pass& pass) {
  network_.backward(pass.with(batch_), record_, [&](IndexRange /*columns*/, const auto& of_tiles) {
    device::for_each_tile_run(pass.context, tiles_.local_count(), [&](IndexRange tiles) {
      const index_t width = network_.partial_width();
      of_tiles(tiles, nn::TilePartials{partials_.data() + tiles.begin * width, width});
    });
  });
}

void Experts::compute_gradients(const nn::Pass& pass, Span<const index_t> all_rows) {
  if (of_blocks_) {
    of_blocks_->compute(pass.with(batch_), all_rows, partials_, record_);
  } else {
    whole_->compute(pass.with(batch_), partials_, record_);
  }
}

std::vector<nn::ParameterSlice> Experts::slices() {
  if (of_blocks_) return {of_blocks_->slices().begin(), of_blocks_->slices().end()};
  std::vector<nn::ParameterSlice> all;
  for (index_t e = 0; e < count(); ++e) {
    for (nn::ParameterSlice& slice : whole_->slices(e)) {
      slice.unit = e;
      all.push_back(std::move(slice));
    }
  }
  return all;
}

void Experts::add_norms(nn::NormTable& table) const {
  if (of_blocks_) {
    nn::BlockGradient::add_norms(network_, table);
  } else {
    table.add(nn::norm_parameters(network_));
  }
}

}  // namespace switchyard::moe
