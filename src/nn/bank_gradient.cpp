#include "nn/bank_gradient.hpp"

#include "nn/dense.hpp"
#include "nn/network_gradient.hpp"
#include "ops/counted.hpp"
#include "ops/reduce.hpp"

namespace switchyard::nn {

BankGradient::BankGradient(Network& network)
    : network_(&network), gradients_(network.frozen() ? 0 : std::ssize(network.values()), network.memory()) {
  if (network.frozen()) return;
  index_t column = 0;
  Vector<ops::PartialPiece> pieces;
  for_each_parameter(network, [&](const ParameterPlace& place) {
    const Parameter& parameter = place.parameter;
    if (place.whole_rows()) {
      for (index_t b = 0; b < place.entries.size(); ++b)
        blocks_.push_back({place.layer, place.rows_of_block(b)});
      whole_.push_back(place.layer);
      return;
    }
    const index_t first = parameter.values - network.values().data();
    for (const ops::PartialPiece& piece : ops::pieces_of({column, parameter.count(), first, parameter.stride}))
      pieces.push_back(piece);
    column += parameter.count();
  });
  pieces_ = device::make_table<ops::PartialPiece>(network.memory(), pieces);
}

void BankGradient::compute(const Pass& pass, Span<const float> partials, const NetworkRecord& record) {
  if (network_->sets() == 0) return;
  const BatchTiles& tiles = pass.tiles();
  ops::sum_set_partials(pass.context,
                        {.partials = partials.data(),
                         .width = network_->partial_width(),
                         .sets = tiles.set_tiles().data(),
                         .pieces = {pieces_.data(), pieces_.count()},
                         .sums = gradients_.data(),
                         .added = !pass.batch.is_first_part},
                        network_->sets(), tiles.most_tiles_of_set());
  if (pass.context.device() == device::DeviceKind::cuda) return compute_whole(pass, record);
  // Large matrices: in blocks, for the threads of a CPU.
  const index_t count = std::ssize(blocks_);
  pass.context.pool().parallel_for(
      network_->sets() * count, [&](index_t t) { compute_block(pass, t / count, blocks_[t % count], record); });
}

void BankGradient::compute_whole(const Pass& pass, const NetworkRecord& record) {
  set_rows_.clear();
  for (index_t set = 0; set < network_->sets(); ++set) {
    const index_t first = pass.tiles().rows_of(set).begin;
    set_rows_.push_back({set, {first, first + pass.tiles().total_samples(set)}});
  }
  for (const index_t layer : whole_) {
    const Parameter& parameter = network_->layer(layer).parameters()[0];
    product_gradients_of_sets(pass, network_->layer(layer).product_rows(*record.layers[layer]), set_rows_,
                              {beside(parameter.values), parameter.stride});
  }
}

void BankGradient::compute_block(const Pass& pass, index_t set, const Block& block,
                                 const NetworkRecord& record) {
  Layer& layer = network_->layer(block.layer);
  const ProductPair rows = layer.product_rows(*record.layers[block.layer]);
  const Parameter& parameter = layer.parameters()[0];
  const index_t out = parameter.count() / parameter.shape[0];
  const IndexRange of_set = pass.tiles().rows_of(set);
  const ops::PaddedRows padded(of_set.size(), of_set.size() - pass.tiles().total_samples(set));
  layer.whole_rows_gradient(pass.context, rows.rows_from(of_set), block.rows,
                            beside(parameter.of(set)) + block.rows.begin * out,
                            pass.batch.is_first_part ? Layer::Gradient::written : Layer::Gradient::added);
}

std::vector<ParameterSlice> BankGradient::slices(index_t set) {
  std::vector<ParameterSlice> slices;
  if (network_->frozen()) return slices;
  for_each_parameter(*network_, [&](const ParameterPlace& place) {
    const Parameter& parameter = place.parameter;
    const index_t out = place.row_elements();
    for (index_t b = 0; b < place.entries.size(); ++b) {
      const IndexRange rows = place.rows_of_block(b);
      float* const value = parameter.of(set) + rows.begin * out;
      slices.push_back({network_->name_of(set, parameter), parameter.shape, rows.begin * out, value,
                        beside(value), rows.size() * out, place.entries.begin + b, parameter.role});
    }
  });
  return slices;
}

}  // namespace switchyard::nn
