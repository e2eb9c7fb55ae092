#include "nn/network_gradient.hpp"

#include <bit>

#include "device/thread_pool.hpp"
#include "ops/reduce.hpp"

namespace switchyard::nn {

index_t block_count(index_t in, index_t out) {
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

std::vector<index_t> norm_parameters(const Network& network) {
  std::vector<index_t> entries;
  index_t next = 0;
  for (index_t l = 0; l < network.layer_count(); ++l) {
    for (const Parameter& parameter : network.layer(l).parameters()) {
      const index_t in = parameter.shape[0];
      const bool whole_rows = parameter.rule == GradientRule::whole_rows;
      entries.insert(entries.end(), as_size(whole_rows ? block_count(in, parameter.count() / in) : 1), next++);
    }
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
      const index_t count = parameter.count();
      slices_.push_back({network.name_of(0, parameter),
                         parameter.shape,
                         {0, parameter.shape[0]},
                         true,
                         parameter.values,
                         small,
                         count,
                         norm_entries_++});
      small += count;
    }
  }
}

void NetworkGradient::add_whole_rows(index_t layer, Parameter& parameter, Sharing sharing) {
  const index_t in = parameter.shape[0];
  const index_t out = parameter.count() / in;
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
    slices_.push_back({network_->name_of(0, parameter), parameter.shape, rows, false,
                       parameter.values + rows.begin * out, gradient, rows.size() * out, norm_entries_ + b});
  }
  norm_entries_ += count;
  whole_rows_.push_back(std::move(whole));
}

void NetworkGradient::reduce_partials(const Pass& pass, Span<const float> partials) {
  const index_t width = network_->partial_width();
  const Span<const float> all = pass.tiles().gather_tiles(pass.workspace(), partials, width);
  ops::sum_partials(pass.context, {all.data(), pass.tiles().total_count(), width}, small_.span());
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

void NetworkGradient::gather_updated_values(comm::Communicator& communicator) {
  if (communicator.size() == 1) return;
  for (const WholeRows& whole : whole_rows_) {
    const Span<float> value = network_->layer(whole.layer).parameters()[0].span(0);
    const Span<const float> mine = value.subspan(whole.mine.begin * whole.out, whole.mine.size() * whole.out);
    communicator.all_gather_rows<float>(mine, value, whole.rows_per_rank, whole.out);
  }
}

}  // namespace switchyard::nn
