#include "nn/network.hpp"

#include "ops/counted.hpp"
#include "ops/rows.hpp"
#include "tensor/tensor.hpp"

namespace switchyard::nn {

Network::Network(std::vector<std::string> names, const NetworkShape& shape, const NetworkOptions& options,
                 std::uint64_t seed)
    : names_(std::move(names)),
      shown_layer_(shape.shown),
      frozen_(options.frozen),
      gives_input_gradient_(options.input_gradient) {
  LayerNames layer_names;
  for (const LayerShape& layer : shape.layers)
    layers_.push_back(std::visit([&](const auto& kind) { return kind.make(layer_names, options); }, layer));
  links_.resize(layers_.size());
  for (const auto& [i, of_layer] : shape.links) links_[i] = of_layer;
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    last_reader_.push_back(i);
    if (const auto from = input_of(i)) last_reader_[*from] = i;
    if (layers_[i]->needs_batch_statistics()) normalised_.push_back(i);
    partial_offset_.push_back(partial_width_);
    for (const Parameter& parameter : layers_[i]->parameters()) {
      if (parameter.rule == GradientRule::per_tile) partial_width_ += parameter.count();
    }
  }
  if (!layers_.empty() &&
      std::all_of(layers_.begin(), layers_.end(), [](const auto& l) { return l->forward_takes_pieces(); })) {
    constexpr index_t floats = index_t{1} << 17;  // 512 KiB
    const index_t rows = std::max(floats, 2 * multiply_adds()) / std::max<index_t>(out_features(), 1);
    piece_rows_ = (rows + 63) / 64 * 64;
  }
  if (sets() > 0) allocate(options, seed);
}

void Network::allocate(const NetworkOptions& options, std::uint64_t seed) {
  Vector<BankArray*> parameters, state;
  for (const auto& layer : layers_) {
    for (Parameter& parameter : layer->parameters()) parameters.push_back(&parameter);
    for (StateArray& array : layer->state()) state.push_back(&array);
  }
  values_ = lay_out(parameters, sets());
  state_ = lay_out(state, sets());
  for (auto* arrays : {&parameters, &state}) {
    for (const BankArray* array : *arrays) {
      for (index_t set = 0; set < sets(); ++set)
        fill_first(*array, set, name_of(set, *array), seed, options.initial);
    }
  }
  values_ = take_to(options.memory, std::move(values_), parameters);
  state_ = take_to(options.memory, std::move(state_), state);
  for (const auto& layer : layers_) layer->hold(sets(), options.memory);
}

index_t Network::parameter_count() const {
  index_t count = 0;
  for (const auto& layer : layers_) {
    for (const Parameter& parameter : layer->parameters()) count += parameter.count();
  }
  return count;
}

index_t Network::multiply_adds() const {
  index_t count = 0;
  for (const auto& layer : layers_) count += layer->multiply_adds();
  return count;
}

index_t Network::training_multiply_adds() const {
  if (frozen_) return multiply_adds();
  index_t count = 0;
  for (std::size_t i = 0; i < layers_.size(); ++i)
    count += layers_[i]->training_multiply_adds(i > 0 || gives_input_gradient_);
  return count;
}

Cost Network::cost() const {
  Cost cost{.parameters = parameter_count(),
            .active_parameters = parameter_count(),
            .multiply_adds = multiply_adds(),
            .training_multiply_adds = training_multiply_adds(),
            .row_floats = static_cast<double>(shown_hidden()),  // whose gradient comes from two sides
            .partial_floats = static_cast<double>(partial_width_)};
  if (gives_input_gradient_ && !layers_.empty())
    cost.row_floats += static_cast<double>(layers_.front()->in_features());
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    const Layer* const layer = layers_[i].get();
    cost.row_floats += layer->activation_floats();
    if (has_added_gradient(i)) cost.row_floats += static_cast<double>(layer->in_features());
    const Span<const Parameter> parameters = layers_[i]->parameters();
    if (!parameters.empty() && parameters.front().rule == GradientRule::whole_rows)
      cost.gathered_floats += static_cast<double>(layer->in_features() + layer->out_features());
  }
  return cost;
}

std::size_t Network::stage_begin(index_t stage) const { return stage == 0 ? 0 : normalised_[stage - 1]; }

std::size_t Network::stage_end(index_t stage) const {
  return stage + 1 == stage_count() ? layers_.size() : normalised_[stage];
}

void Network::values_changed(device::Context& context) {
  for (const auto& layer : layers_) layer->values_changed(context);
}

void Network::begin_forward(const Pass& pass, NetworkRecord& record) const {
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    if (i == record.layers.size()) record.layers.push_back(layers_[i]->make_record());
    const std::optional<std::size_t> from = input_of(i), skip = links_[i].skip;
    record.layers[i]->input = from ? tensor::RowSource(record.layers[*from]->output) : pass.batch.rows;
    record.layers[i]->skip = skip ? record.layers[*skip]->output : tensor::ConstMatrix();
    layers_[i]->begin_forward(own(pass), *record.layers[i]);
  }
}

void Network::forward_run(const Pass& pass, index_t stage, const TileRun& run, NetworkRecord& record) const {
  const ops::PaddedRows padded(run.rows.size(), pass.tiles().padding(run));
  for (std::size_t i = stage_begin(stage); i < stage_end(stage); ++i)
    layers_[i]->forward(pass, run, *record.layers[i]);
}

void Network::forward_statistics(const Pass& pass, index_t stage, IndexRange tiles,
                                 NetworkRecord& record) const {
  const std::size_t end = stage_end(stage);
  if (end < layers_.size()) layers_[end]->forward_statistics(pass, tiles, *record.layers[end]);
}

void Network::join_forward(const Pass& pass, index_t stage, NetworkRecord& record) {
  const std::size_t next = stage_end(stage);
  if (next < layers_.size()) layers_[next]->join_forward_statistics(own(pass), *record.layers[next]);
}

void Network::begin_backward(const Pass& pass, NetworkRecord& record, tensor::Matrix d_output) const {
  const auto like = [&](const tensor::Matrix& m) {
    return tensor::allocate_matrix(pass.workspace(), m.rows, m.cols);
  };
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    const bool is_given = i + 1 == layers_.size() && d_output.data != nullptr;
    record.layers[i]->d_output = is_given ? d_output : like(record.layers[i]->output);
    layers_[i]->begin_backward(pass, *record.layers[i]);
  }
  record.added_d_input.resize(layers_.size());
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    record.added_d_input[i] =
        has_added_gradient(i) ? like(record.layers[*input_of(i)]->output) : tensor::Matrix();
  }
  record.d_hidden = !shown_layer_ ? tensor::Matrix() : like(hidden(record));
  record.d_input = {};
  if (gives_input_gradient_) {
    const tensor::RowSource& input = record.layers.front()->input;
    record.d_input = tensor::allocate_matrix(pass.workspace(), input.rows, input.cols);
  }
}

void Network::backward_tiles(const Pass& pass, index_t stage, IndexRange tiles, NetworkRecord& record,
                             TilePartials partials) const {
  const TileRun of_tiles = pass.tiles().run(tiles);
  const ops::PaddedRows padded(of_tiles.rows.size(), pass.tiles().padding(of_tiles));
  // The first layer of a stage but stage 0 has its sums taken here, and its backward in the stage before.
  const std::size_t begin = stage_begin(stage);
  const std::size_t end = stage_end(stage);
  if (end < layers_.size()) backward_layer(pass, end, tiles, record, partials);
  for (std::size_t i = end; i-- > begin + (stage > 0 ? 1 : 0);) {
    complete_gradient(pass, i, tiles, record);
    backward_layer(pass, i, tiles, record, partials);
  }
  if (stage == 0) return;
  complete_gradient(pass, begin, tiles, record);
  layers_[begin]->backward_statistics(pass, tiles, *record.layers[begin]);
}

void Network::complete_gradient(const Pass& pass, std::size_t i, IndexRange tiles,
                                NetworkRecord& record) const {
  const IndexRange rows = pass.tiles().rows(tiles);
  const tensor::Matrix d_output = record.layers[i]->d_output;
  const auto add = [&](const tensor::Matrix& to) {
    ops::add(pass.context, to.rows_from(rows), d_output.rows_from(rows));
  };
  if (i == shown_layer_) add(record.d_hidden);
  ops::SkipGradient how = last_reader_[i] == i ? ops::SkipGradient::written : ops::SkipGradient::added;
  for (std::size_t reader = layers_.size(); reader-- > i + 1;) {
    if (input_of(reader) == i && has_added_gradient(reader)) add(record.added_d_input[reader]);
    if (links_[reader].skip != i) continue;
    layers_[reader]->skip_gradient(pass, tiles, *record.layers[reader], d_output, how);
    how = ops::SkipGradient::added;
  }
}

void Network::backward_layer(const Pass& pass, std::size_t i, IndexRange tiles, NetworkRecord& record,
                             TilePartials partials) const {
  const std::optional<std::size_t> from = input_of(i);
  tensor::Matrix d_input = from ? record.layers[*from]->d_output : record.d_input;
  if (has_added_gradient(i)) d_input = record.added_d_input[i];
  layers_[i]->backward(pass, tiles, *record.layers[i], d_input, partials.from(partial_offset_[i]));
}

IndexRange Network::partial_columns(index_t stage) const {
  const auto begin_of = [&](std::size_t layer) {
    return layer < layers_.size() ? partial_offset_[layer] : partial_width_;
  };
  // The layers of backward_tiles.
  return {begin_of(stage_begin(stage) + (stage > 0 ? 1 : 0)), begin_of(stage_end(stage) + 1)};
}

void Network::join_backward(const Pass& pass, index_t stage, NetworkRecord& record) {
  if (stage == 0) return;
  const std::size_t first = stage_begin(stage);
  layers_[first]->join_backward_statistics(pass, *record.layers[first]);
}

}  // namespace switchyard::nn
