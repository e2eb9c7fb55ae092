#include "nn/block_gradient.hpp"

#include <algorithm>

#include "device/transfer.hpp"
#include "nn/dense.hpp"
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
  Vector<ops::PartialPiece> pieces;
  for_each_parameter(network, [&](const ParameterPlace& place) {
    const index_t count = place.parameter.count();
    if (place.whole_rows()) {
      whole_layers_.push_back({place.layer, set_width_});
      for (index_t b = 0; b < place.entries.size(); ++b) {
        const IndexRange rows = place.rows_of_block(b);
        whole_rows_.push_back({place.layer, rows, set_width_ + rows.begin * place.row_elements()});
      }
    } else {
      per_tile_.push_back({count, partial, set_width_});
      for (const ops::PartialPiece& piece : ops::pieces_of({partial, count, set_width_, 0}))
        pieces.push_back(piece);
      partial += count;
    }
    set_width_ += count;
  });
  for (ops::PartialPiece& piece : pieces) piece.set_stride = set_width_;
  pieces_ = device::make_table<ops::PartialPiece>(network.memory(), pieces);
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
  if (pass.context.device() == device::DeviceKind::cuda) {
    tree_.begin(pass, blocks_.count, blocks_.count);
    return tree_.sum_shards(pass.context, {0, network_->sets() * set_width_},
                            [&](IndexRange of_blocks, TilePartials sums) {
                              compute_at_once(pass, rows, of_blocks, partials, record, sums.first);
                            });
  }
  // A set's first task adds the partials of its tiles; the others are blocks of its large matrices. They are
  // enough to work on one row block at a time.
  tree_.begin(pass, blocks_.count, 1);
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

void BlockGradient::compute_at_once(const Pass& pass, Span<const index_t> rows, IndexRange of_blocks,
                                    Span<const float> partials, const NetworkRecord& record,
                                    float* sums) const {
  const index_t sets = network_->sets(), count = of_blocks.size() * sets;
  if (count == 0) return;
  device::Workspace& host = pass.context.host_workspace();
  const Span<ops::SetTiles> tiles = host.allocate<ops::SetTiles>(count);
  const Span<ops::Tile> row_ranges = host.allocate<ops::Tile>(count);
  index_t most_tiles = 0;
  for (index_t i = 0; i < count; ++i) {
    const OfBlock of = tiles_of(pass, rows, i % sets, mine_.begin + of_blocks.begin + i / sets);
    const TileRun run = pass.tiles().run(of.tiles);
    const auto samples = static_cast<std::int32_t>(run.rows.size() - pass.tiles().padding(run));
    tiles[i] = {static_cast<std::int32_t>(of.tiles.begin), static_cast<std::int32_t>(of.tiles.end), samples};
    row_ranges[i] = {static_cast<std::int32_t>(run.rows.begin), samples, samples, 0};
    most_tiles = std::max(most_tiles, of.tiles.size());
  }
  ops::sum_set_partials(pass.context,
                        {.partials = partials.data(),
                         .width = network_->partial_width(),
                         .sets = device::place(pass.context, tiles).data(),
                         .pieces = {pieces_.data(), pieces_.count()},
                         .sums = sums,
                         .added = false},
                        count, most_tiles);
  const ops::TileView ranges{device::place(pass.context, row_ranges).data(), count, 0};
  for (const OfLayer& whole : whole_layers_) {
    product_gradients_of_ranges(pass, ranges,
                                network_->layer(whole.layer).product_rows(*record.layers[whole.layer]),
                                {sums + whole.column, set_width_});
  }
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
