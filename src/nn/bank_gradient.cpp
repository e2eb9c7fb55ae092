#include "nn/bank_gradient.hpp"

#include "device/thread_pool.hpp"
#include "nn/network_gradient.hpp"
#include "ops/counted.hpp"
#include "ops/reduce.hpp"

namespace switchyard::nn {

BankGradient::BankGradient(Network& network)
    : network_(&network), gradients_(network.frozen() ? 0 : std::ssize(network.values())) {
  if (network.frozen()) return;
  for_each_parameter(network, [&](const ParameterPlace& place) {
    if (!place.whole_rows()) return;
    for (index_t b = 0; b < place.entries.size(); ++b) blocks_.push_back({place.layer, place.rows_of_block(b)});
  });
}

void BankGradient::compute(const Pass& pass, Span<const float> partials, const NetworkRecord& record) {
  // A set's first task adds the partials of its tiles; the others are blocks of its large matrices.
  const index_t tasks = 1 + std::ssize(blocks_);
  of_part_ = {};
  if (!pass.batch.is_first_part)
    of_part_ = pass.workspace().allocate<float>(network_->sets() * network_->partial_width());
  pass.context.pool().parallel_for(network_->sets() * tasks, [&](index_t t) {
    const index_t set = t / tasks;
    if (t % tasks == 0) {
      add_partials(pass, set, partials);
    } else {
      compute_block(pass, set, blocks_[t % tasks - 1], record);
    }
  });
}

void BankGradient::add_partials(const Pass& pass, index_t set, Span<const float> partials) {
  const index_t width = network_->partial_width();
  const IndexRange tiles = pass.tiles().tiles_of(set);
  const float* const first = partials.data() + tiles.begin * width;
  const float* column = first;
  for (index_t l = 0; l < network_->layer_count(); ++l) {
    for (const Parameter& parameter : network_->layer(l).parameters()) {
      if (parameter.rule != GradientRule::per_tile) continue;
      const index_t count = parameter.count();
      const Span<float> gradient(beside(parameter.of(set)), count);
      const tensor::ConstMatrix of_tiles(column, tiles.size(), count, width);
      if (pass.batch.is_first_part) {
        ops::sum_partials(pass.context, of_tiles, gradient);
      } else {
        const Span<float> of_part = of_part_.subspan(set * width + (column - first), count);
        ops::sum_partials(pass.context, of_tiles, of_part);
        ops::add_to(pass.context, of_part, gradient);
      }
      column += count;
    }
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
  layer.whole_rows_gradient(rows.rows_from(of_set), block.rows,
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
