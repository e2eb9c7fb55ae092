#include "moe/mixture_module.hpp"

#include <algorithm>
#include <iterator>

#include "ops/moe/combine.hpp"
#include "tensor/tensor.hpp"

namespace switchyard::moe {

tensor::Matrix MixtureModule::forward(const nn::Pass& pass, tensor::ConstMatrix x) {
  Record& record = pass.trace->push<Record>();
  record.batch = pass.batch;
  record.batch.rows = x;
  const nn::Pass own = pass.with(record.batch);
  record.output = layer_.forward(own);
  pass.clock.enter(Phase::combine);
  const tensor::Matrix y = tensor::allocate_matrix(pass.workspace(), x.rows, layer_.outputs());
  ops::combine(pass.context, {record.output.slot_rows(), record.output.routing.factors}, y);
  pass.clock.enter(Phase::other);
  last_ = &record;
  is_limited_ = record.output.routing.is_limited;
  sums_.measure(own, layer_.router(), record.output.routing);
  return y;
}

tensor::Matrix MixtureModule::backward(const nn::Pass& pass, tensor::Matrix d_y, nn::Wants wants) {
  const Record& record = pass.trace->pop<Record>();
  const nn::Pass own = pass.with(record.batch);
  pass.clock.enter(Phase::combine);
  const SlotGradients gradients = layer_.begin_backward(own);
  ops::combine_backward(pass.context, {record.output.slot_rows(), record.output.routing.factors}, d_y,
                        {1.0F, layer_.router().options().measure, gradients.slot_rows(), gradients.slots});
  const tensor::Matrix d_x =
      layer_.backward(own, record.output, gradients, sums_.regulariser_gradients(), wants);
  pass.clock.enter(Phase::other);
  return d_x;
}

void MixtureModule::add_counts(device::Context& context, const CountPlaces& places,
                               Span<std::int64_t> counts) const {
  const Span<const std::int32_t> groups = last_->batch.groups;
  moe::add_counts(context, places, layer_.plan(), last_->output.routing,
                  {.groups = groups.empty() ? nullptr : groups.data()}, {}, counts);
}

void MixtureModule::add_shards(const nn::Pass& pass, const nn::ShardSums& shards, index_t first_column) const {
  const ops::TileSums sums = shards.of(*last_->batch.tiles).from(first_column);
  ops::RowFigures figures;
  sums_.add_shards(pass.context, sums, figures);
  ops::add_figures(pass.context, sums, figures);
}

void MixtureModule::add_slices(const nn::NormTable& table, std::vector<nn::ParameterSlice>& all) {
  std::ranges::move(layer_.slices(table), std::back_inserter(all));
}

void MixtureModule::add_parameters(std::vector<nn::NamedArray>& all) {
  std::ranges::move(layer_.parameters(), std::back_inserter(all));
}

void MixtureModule::add_state(std::vector<nn::NamedArray>& all) {
  std::ranges::move(layer_.state(), std::back_inserter(all));
}

}  // namespace switchyard::moe
