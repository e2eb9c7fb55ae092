// A mixture layer as a part of a network: rows in, rows out.
#pragma once

#include "moe/layer.hpp"
#include "moe/routing_sums.hpp"
#include "nn/module.hpp"
#include "nn/shard_sums.hpp"

namespace switchyard::moe {

// y = sum_i w_i f_i(x) over the chosen experts of a row. Forward is route -> plan -> dispatch -> experts ->
// combine, and backward mirrors all five. Collective over the batch's ranks.
class MixtureModule final : public nn::Module {
 public:
  MixtureModule(const LayerOptions& options, comm::Resources resources, Placement placement)
      : sums_(options.routing), layer_(options, resources, std::move(placement)) {}

  // x must live until backward.
  tensor::Matrix forward(const nn::Pass& pass, tensor::ConstMatrix x) override;
  // After sums().complete(): the regularisers' gradients are part of it.
  tensor::Matrix backward(const nn::Pass& pass, tensor::Matrix d_y, nn::Wants wants) override;

  void reduce_gradients(const nn::Pass& pass) override { layer_.reduce_gradients(pass.with(last_->batch)); }
  void gather_updated_values(device::Context& context) override { layer_.gather_updated_values(context); }
  void values_changed(device::Context& context) override {
    layer_.values_changed(context, Layer::Changed::all);
  }
  void add_norms(nn::NormTable& table) override { layer_.add_norms(table); }
  void add_slices(const nn::NormTable& table, std::vector<nn::ParameterSlice>& all) override;
  void add_parameters(std::vector<nn::NamedArray>& all) override;
  void add_state(std::vector<nn::NamedArray>& all) override;

  Layer& layer() { return layer_; }
  const Layer& layer() const { return layer_; }
  RoutingSums& sums() { return sums_; }
  const RoutingSums& sums() const { return sums_; }
  // Of the last forward, while its rows are there: adds this rank's counts to those of statistics of its size,
  // and the rows to sums of their shards. Local.
  void add_counts(device::Context& context, const CountPlaces& places, Span<std::int64_t> counts) const;
  void add_shards(const nn::Pass& pass, const nn::ShardSums& shards, index_t first_column) const;
  bool is_limited() const { return is_limited_; }

 private:
  struct Record {
    nn::Batch batch;  // whose rows are x
    LayerOutput output;
  };
  RoutingSums sums_;
  Layer layer_;
  const Record* last_ = nullptr;  // of the last forward
  bool is_limited_ = false;
};

}  // namespace switchyard::moe
