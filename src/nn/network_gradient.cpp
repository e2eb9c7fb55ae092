#include "nn/network_gradient.hpp"

#include <algorithm>
#include <bit>
#include <functional>

#include "device/thread_pool.hpp"
#include "ops/reduce.hpp"

namespace switchyard::nn {
namespace {

std::vector<ParameterSlice> per_tile_parameters(const Network& network) {
  std::vector<ParameterSlice> parameters;
  if (network.frozen()) return parameters;
  for_each_parameter(network, [&](const ParameterPlace& place) {
    const Parameter& parameter = place.parameter;
    if (place.whole_rows()) return;
    parameters.push_back({.name = network.name_of(0, parameter),
                          .shape = parameter.shape,
                          .value = parameter.values,
                          .count = parameter.count(),
                          .norm_entry = place.entries.begin,
                          .role = parameter.role});
  });
  return parameters;
}

}  // namespace

void for_each_parameter(const Network& network, const std::function<void(const ParameterPlace&)>& use) {
  index_t next = 0;
  for (index_t l = 0; l < network.layer_count(); ++l) {
    for (const Parameter& parameter : network.layer(l).parameters()) {
      ParameterPlace place{l, parameter, {next, next + 1}};
      if (place.whole_rows()) place.entries.end = next + block_count(parameter.shape[0], place.row_elements());
      use(place);
      next = place.entries.end;
    }
  }
}

index_t block_count(index_t in, index_t out) {
  // 256 KiB of float a block, and 64 rows: large enough for a full-speed product, small enough to share out. A
  // power of two, so that 2, 4 and 8 ranks or threads get equal shares.
  constexpr index_t elements = 65536, rows = 64;
  const auto wanted = static_cast<std::uint64_t>(std::max<index_t>((in * out + elements - 1) / elements, 1));
  const auto most = static_cast<std::uint64_t>(std::max<index_t>(in / rows, 1));
  return static_cast<index_t>(std::min(std::bit_ceil(wanted), std::bit_floor(most)));
}

std::vector<index_t> norm_parameters(const Network& network) {
  std::vector<index_t> entries;
  index_t number = 0;
  for_each_parameter(network, [&](const ParameterPlace& place) {
    entries.insert(entries.end(), as_size(place.entries.size()), number++);
  });
  return entries;
}

NetworkGradient::NetworkGradient(Network& network, comm::DataPlane& data_plane)
    : network_(&network),
      data_plane_(&data_plane),
      tree_(&data_plane, per_tile_parameters(network), network.memory()) {
  slices_.assign(tree_.slices().begin(), tree_.slices().end());
  if (network.frozen()) return;
  for_each_parameter(network, [&](const ParameterPlace& place) {
    if (place.whole_rows()) add_whole_rows(place);
  });
}

void NetworkGradient::add_whole_rows(const ParameterPlace& place) {
  const Parameter& parameter = place.parameter;
  const index_t out = place.row_elements();
  const int rank = data_plane_->rank().value;
  const SharedParts blocks{parameter.shape[0], place.entries.size(), data_plane_->size()};
  WholeRows whole{place.layer, out, {}, blocks.range_of(rank), {}, {}};
  for (int r = 0; r < data_plane_->size(); ++r) whole.rows_per_rank.push_back(blocks.range_of(r).size());
  whole.gradient = device::Buffer<float>(whole.mine.size() * out, network_->memory());
  const IndexRange mine = blocks.parts_of(rank);
  for (index_t b = mine.begin; b < mine.end; ++b) {
    const IndexRange rows = place.rows_of_block(b);
    const index_t first = rows.begin * out;
    float* const gradient = whole.gradient.data() + (first - whole.mine.begin * out);
    whole.blocks.push_back({rows, gradient});
    slices_.push_back({.name = network_->name_of(0, parameter),
                       .shape = parameter.shape,
                       .first_element = first,
                       .value = parameter.values + first,
                       .gradient = gradient,
                       .count = rows.size() * out,
                       .norm_entry = place.entries.begin + b,
                       .role = parameter.role});
  }
  whole_rows_.push_back(std::move(whole));
}

void NetworkGradient::add_norms(NormTable& table) const {
  index_t number = 0;
  for_each_parameter(*network_, [&](const ParameterPlace& place) {
    for (index_t i = 0; i < place.entries.size(); ++i)
      table.add_entry(number, place.whole_rows() ? 1 : ops::squared_pieces(place.parameter.count()));
    ++number;
  });
  table.end_unit();
}

void NetworkGradient::backward(const Pass& pass, NetworkRecord& record) {
  tree_.begin(pass);
  network_->backward(pass, record, [&](IndexRange columns, const auto& of_tiles) {
    tree_.sum_shards(pass.context, columns, of_tiles);
  });
}

void NetworkGradient::reduce(const Pass& pass, const NetworkRecord& record) {
  tree_.reduce(pass);
  const auto how = pass.batch.is_first_part ? Layer::Gradient::written : Layer::Gradient::added;
  for (const WholeRows& whole : whole_rows_) {
    const Layer& layer = network_->layer(whole.layer);
    const ProductPair mine = layer.product_rows(*record.layers[whole.layer]);
    const ProductPair all{pass.tiles().gather_rows(pass.context, mine.input),
                          pass.tiles().gather_rows(pass.context, mine.d_output)};
    // On a GPU the blocks of a rank are one: a row's bits do not depend on its neighbours there.
    if (pass.context.device() == device::DeviceKind::cuda) {
      if (!whole.mine.empty())
        layer.whole_rows_gradient(pass.context, all, whole.mine, whole.blocks[0].gradient, how);
      continue;
    }
    pass.context.pool().parallel_for(std::ssize(whole.blocks), [&](index_t b) {
      const Block& block = whole.blocks[b];
      layer.whole_rows_gradient(pass.context, all, block.rows, block.gradient, how);
    });
  }
}

void NetworkGradient::gather_updated_values(device::Context& context) {
  tree_.gather_updated_values(context);
  if (data_plane_->size() == 1) return;
  for (const WholeRows& whole : whole_rows_) {
    const Span<float> value = network_->layer(whole.layer).parameters()[0].span(0);
    const Span<const float> mine = value.subspan(whole.mine.begin * whole.out, whole.mine.size() * whole.out);
    data_plane_->all_gather_rows<float>(context, mine, value, whole.rows_per_rank, whole.out);
  }
}

}  // namespace switchyard::nn
