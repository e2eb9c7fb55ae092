#include "nn/block_gradient.hpp"

#include "nn/network_gradient.hpp"
#include "ops/counted.hpp"
#include "ops/reduce.hpp"

namespace switchyard::nn {
namespace {

// Set by set.
std::vector<ParameterSlice> parameters_of(const Network& network) {
  std::vector<ParameterSlice> all;
  if (network.frozen()) return all;
  for (index_t set = 0; set < network.sets(); ++set) {
    index_t number = 0;
    for_each_parameter(network, [&](const ParameterPlace& place) {
      all.push_back({.name = network.name_of(set, place.parameter),
                     .shape = place.parameter.shape,
                     .value = place.parameter.of(set),
                     .count = place.parameter.count(),
                     .norm_entry = number++,
                     .role = place.parameter.role,
                     .unit = set});
    });
  }
  return all;
}

}  // namespace

BlockGradient::BlockGradient(Network& network, const RowBlocks& blocks, comm::DataPlane* copies)
    : network_(&network),
      blocks_(blocks),
      mine_(partition(blocks.count, blocks.copies, copies != nullptr ? copies->rank().index() : 0)),
      tree_(copies, parameters_of(network), network.memory()) {
  index_t partial = 0;
  for_each_parameter(network, [&](const ParameterPlace& place) {
    const index_t count = place.parameter.count();
    if (place.whole_rows()) {
      for (index_t b = 0; b < place.entries.size(); ++b) {
        const IndexRange rows = place.rows_of_block(b);
        whole_rows_.push_back({place.layer, rows, set_width_ + rows.begin * place.row_elements()});
      }
    } else {
      per_tile_.push_back({count, partial, set_width_});
      partial += count;
    }
    set_width_ += count;
  });
}

void BlockGradient::add_norms(const Network& network, NormTable& table) {
  index_t number = 0;
  for_each_parameter(network, [&](const ParameterPlace& place) {
    table.add_entry(number++, ops::squared_pieces(place.parameter.count()));
  });
  table.end_unit();
}

void BlockGradient::compute(const Pass& pass, Span<const index_t> rows, Span<const float> partials,
                            const NetworkRecord& record) {
  // A set's first task adds the partials of its tiles; the others are blocks of its large matrices. They are
  // enough to work on one row block at a time.
  const bool at_once = pass.context.device() == device::DeviceKind::cuda;
  tree_.begin(pass, blocks_.count, at_once ? blocks_.count : 1);
  const index_t tasks = 1 + std::ssize(whole_rows_);
  tree_.sum_shards(pass.context, {0, network_->sets() * set_width_}, network_->sets() * tasks,
                   [&](index_t block, index_t task, float* row) {
                     const index_t set = task / tasks;
                     const OfBlock of = tiles_of(pass, rows, set, mine_.begin + block);
                     float* const of_set = row + set * set_width_;
                     if (task % tasks == 0) {
                       add_partials(pass, of, partials, of_set);
                     } else {
                       multiply(pass, of, whole_rows_[task % tasks - 1], record, of_set);
                     }
                   });
}

BlockGradient::OfBlock BlockGradient::tiles_of(const Pass& pass, Span<const index_t> rows, index_t set,
                                               index_t block) const {
  const SharedParts tiles = blocks_.tiles(rows[set]);
  const IndexRange of_block = partition(tiles.total, tiles.parts, block);
  const index_t first =
      pass.tiles().tiles_of(set).begin - partition_begin(tiles.total, tiles.parts, mine_.begin);
  return {set, {first + of_block.begin, first + of_block.end}};
}

void BlockGradient::add_partials(const Pass& pass, const OfBlock& of, Span<const float> partials,
                                 float* of_set) const {
  const index_t width = network_->partial_width();
  for (const PerTile& parameter : per_tile_) {
    const float* const first = partials.data() + of.tiles.begin * width + parameter.partial;
    ops::sum_partials(pass.context, {first, of.tiles.size(), parameter.count, width},
                      {of_set + parameter.column, parameter.count});
  }
}

void BlockGradient::multiply(const Pass& pass, const OfBlock& of, const WholeRows& whole,
                             const NetworkRecord& record, float* of_set) const {
  const Layer& layer = network_->layer(whole.layer);
  const ProductPair rows = layer.product_rows(*record.layers[whole.layer]);
  const TileRun run = pass.tiles().run(of.tiles);
  const ops::PaddedRows padded(run.rows.size(), pass.tiles().padding(run));
  layer.whole_rows_gradient(pass.context, rows.rows_from(run.rows), whole.rows, of_set + whole.column,
                            Layer::Gradient::written);
}

void BlockGradient::reduce(const Pass& pass) { tree_.reduce(pass); }

void BlockGradient::gather_updated_values(device::Context& context) { tree_.gather_updated_values(context); }

}  // namespace switchyard::nn
