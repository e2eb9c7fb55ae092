#include "nn/network_gradient.hpp"

#include <bit>

#include "device/thread_pool.hpp"
#include "ops/reduce.hpp"

namespace switchyard::nn {

index_t NetworkGradient::block_count(index_t in, index_t out) {
  // 256 KiB of float a block: large enough for a full-speed product, small enough to share out. A power of two,
  // so that 2, 4 and 8 ranks or threads get equal shares.
  const index_t blocks = (in * out + 65535) / 65536;
  return std::min<index_t>(
      in, static_cast<index_t>(std::bit_ceil(static_cast<std::uint64_t>(std::max<index_t>(blocks, 1)))));
}

void NormTable::add(const std::vector<index_t>& parameters) {
  parameter.insert(parameter.end(), parameters.begin(), parameters.end());
  unit_begin.push_back(std::ssize(parameter));
}

std::vector<index_t> NetworkGradient::norm_parameters(const NetworkShape& shape, const GradientPolicy& policy) {
  std::vector<index_t> entries;
  index_t next = 0;
  const auto add_parameter = [&](index_t blocks) {
    entries.insert(entries.end(), as_size(blocks), next);
    ++next;
  };
  const index_t small =
      shape.conv_parameters() + (shape.patch_filters ? (shape.patch_filters->bias ? 2 : 1) : 0);
  for (index_t i = 0; i < small; ++i) add_parameter(1);
  for (const DenseShape& layer : shape.dense) {
    const bool whole_rows = policy.rule(layer.in, layer.out) == GradientRule::whole_rows;
    add_parameter(whole_rows ? block_count(layer.in, layer.out) : 1);
    if (layer.bias) add_parameter(1);
  }
  return entries;
}

NetworkGradient::NetworkGradient(Network& network, Sharing sharing)
    : network_(&network), small_(network.frozen() ? 0 : network.partial_width()) {
  if (network.frozen()) return;
  float* small = small_.data();
  for (index_t l = 0; l < network.layer_count(); ++l) {
    for (Parameter& parameter : network.layer(l).parameters()) {
      if (parameter.rule == GradientRule::whole_rows) {
        add_whole_rows(l, parameter, sharing);
        continue;
      }
      const index_t rows = parameter.value.shape()[0];
      slices_.push_back({parameter.name,
                         parameter.value.shape(),
                         {0, rows},
                         sharing.replicated,
                         parameter.value.data(),
                         small,
                         parameter.value.count(),
                         norm_entries_++});
      small += parameter.value.count();
    }
  }
}

void NetworkGradient::add_whole_rows(index_t layer, Parameter& parameter, Sharing sharing) {
  const index_t in = parameter.value.shape()[0];
  const index_t out = parameter.value.count() / in;
  const index_t count = block_count(in, out);
  WholeRows whole{layer, out, {}, {}, {}};
  const SharedParts blocks{in, count, sharing.ranks};
  for (int r = 0; r < sharing.ranks; ++r) whole.rows_per_rank.push_back(blocks.range_of(r).size());
  whole.mine = blocks.range_of(sharing.rank);
  whole.gradient = device::Buffer<float>(whole.mine.size() * out);
  const IndexRange share = blocks.parts_of(sharing.rank);
  for (index_t b = share.begin; b < share.end; ++b) {
    const IndexRange rows = partition(in, count, b);
    float* const gradient = whole.gradient.data() + (rows.begin - whole.mine.begin) * out;
    blocks_.push_back({layer, rows, gradient});
    slices_.push_back({parameter.name, parameter.value.shape(), rows, false,
                       parameter.value.data() + rows.begin * out, gradient, rows.size() * out,
                       norm_entries_ + b});
  }
  norm_entries_ += count;
  whole_rows_.push_back(std::move(whole));
}

void NetworkGradient::reduce_partials(const Pass& pass, Span<const float> partials) {
  const Span<const float> all =
      pass.tiles().gather_tiles(pass.workspace(), partials, network_->partial_width());
  ops::sum_partials(pass.context, all, pass.tiles().total_count(), small_.span());
}

void NetworkGradient::compute_blocks(const Pass& pass, const NetworkRecord& record) {
  for (const WholeRows& whole : whole_rows_) {
    const LayerRecord& layer = record.layers[whole.layer];
    const ProductRows x = pass.tiles().gather_rows(pass.workspace(), layer.product_input());
    const ProductRows dy = pass.tiles().gather_rows(pass.workspace(), layer.product_d_output());
    pass.context.pool().parallel_for(std::ssize(blocks_), [&](index_t b) {
      const Block& block = blocks_[b];
      if (block.layer == whole.layer)
        network_->layer(block.layer).whole_rows_gradient(x, dy, block.rows, block.gradient);
    });
  }
}

void NetworkGradient::compute_local_block(index_t index, const NetworkRecord& record) {
  const Block& block = blocks_[index];
  const LayerRecord& layer = record.layers[block.layer];
  network_->layer(block.layer)
      .whole_rows_gradient(layer.product_input(), layer.product_d_output(), block.rows, block.gradient);
}

void NetworkGradient::gather_updated_values(comm::Communicator& communicator) {
  if (communicator.size() == 1) return;
  for (const WholeRows& whole : whole_rows_) {
    const Span<float> value = network_->layer(whole.layer).parameters()[0].value.span();
    const Span<const float> mine = value.subspan(whole.mine.begin * whole.out, whole.mine.size() * whole.out);
    communicator.all_gather_rows<float>(mine, value, whole.rows_per_rank, whole.out);
  }
}

}  // namespace switchyard::nn
