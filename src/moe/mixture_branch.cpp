#include "moe/mixture_branch.hpp"

#include "base/contract.hpp"
#include "ops/moe/slots.hpp"
#include "ops/rows.hpp"

namespace switchyard::moe {
namespace {

void make(std::optional<nn::NetworkModule>& module, const std::optional<nn::NetworkModuleOptions>& options,
          comm::DataPlane& data_plane) {
  if (options) module.emplace(*options, data_plane);
}

// The same floats as rows of another width.
template <class View>
View in_rows_of(View m, index_t cols) {
  SY_EXPECTS(m.stride == m.cols && m.rows * m.cols % cols == 0, "{} x {} numbers {} apart as rows of {}",
             m.rows, m.cols, m.stride, cols);
  return {m.data, m.rows * m.cols / cols, cols};
}

}  // namespace

MixtureBranchOptions::Costs MixtureBranchOptions::costs() const {
  Costs costs{.router = layer.router_cost(sub_heads), .experts = layer.experts_cost(sub_heads)};
  if (sub_heads > 1) costs.router.row_floats += static_cast<double>(3 * sub_heads);  // ids and groups
  for (const auto& part : {head, merge}) costs.head_and_merge += part ? part->cost() : nn::Cost{};
  if (shared) costs.shared = shared->cost();
  return costs;
}

MixtureBranch::MixtureBranch(const MixtureBranchOptions& options, comm::Resources resources,
                             Placement placement)
    : sub_heads_(options.sub_heads), mixture_(options.layer, resources, std::move(placement)) {
  make(head_, options.head, resources.data_plane);
  make(merge_, options.merge, resources.data_plane);
  make(shared_, options.shared, resources.data_plane);
}

void MixtureBranch::for_each_part(const auto& use) {
  for (auto* part : {&head_, &merge_, &shared_}) {
    if (*part) use(**part);
  }
  use(mixture_);
}

// A sub-token has its token's group, and an id of its own.
void MixtureBranch::cut(const nn::Pass& pass, Record& record) const {
  const nn::Batch& whole = pass.batch;
  record.tiles.set_finer(pass.tiles(), sub_heads_);
  record.tiles.place(pass.context);
  record.batch = whole;
  record.batch.tiles = &record.tiles;
  record.batch.labels = {};
  device::Workspace& workspace = pass.workspace();
  if (!whole.ids.empty()) {
    const Span<index_t> ids = workspace.allocate<index_t>(std::ssize(whole.ids) * sub_heads_);
    ops::number_parts(pass.context, whole.ids, sub_heads_, ids);
    record.batch.ids = ids;
  }
  if (!whole.groups.empty()) {
    const Span<std::int32_t> groups = workspace.allocate<std::int32_t>(std::ssize(whole.groups) * sub_heads_);
    ops::repeat(pass.context, whole.groups, sub_heads_, groups);
    record.batch.groups = groups;
  }
}

tensor::Matrix MixtureBranch::forward(const nn::Pass& pass, tensor::ConstMatrix x) {
  const index_t width = x.cols / sub_heads_;
  const tensor::ConstMatrix headed = head_ ? tensor::ConstMatrix(head_->forward(pass, x)) : x;
  tensor::Matrix y;
  if (sub_heads_ == 1) {
    y = mixture_.forward(pass, headed);
  } else {
    auto& record = pass.trace->push<Record>();
    cut(pass, record);
    y = in_rows_of(mixture_.forward(pass.with(record.batch), in_rows_of(headed, width)), x.cols);
  }
  if (merge_) y = merge_->forward(pass, y);
  if (shared_) ops::add(pass.context, shared_->forward(pass, x), y);
  return y;
}

tensor::Matrix MixtureBranch::backward(const nn::Pass& pass, tensor::Matrix d_y, nn::Wants wants) {
  const tensor::Matrix d_shared = shared_ ? shared_->backward(pass, d_y, wants) : tensor::Matrix();
  const bool wants_rows = head_ || wants == nn::Wants::input_gradient;
  tensor::Matrix d = merge_ ? merge_->backward(pass, d_y, nn::Wants::input_gradient) : d_y;
  // The mixture has its batch on the trace.
  d = mixture_.backward(pass, in_rows_of(d, d.cols / sub_heads_),
                        wants_rows ? nn::Wants::input_gradient : nn::Wants::nothing);
  if (sub_heads_ > 1) (void)pass.trace->pop<Record>();
  if (wants_rows) d = in_rows_of(d, d_y.cols);
  if (head_) d = head_->backward(pass, d, wants);
  if (wants == nn::Wants::nothing) return {};
  if (shared_) ops::add(pass.context, d_shared, d);
  return d;
}

void MixtureBranch::reduce_gradients(const nn::Pass& pass) {
  for_each_part([&](nn::Module& part) { part.reduce_gradients(pass); });
}

void MixtureBranch::gather_updated_values(device::Context& context) {
  for_each_part([&](nn::Module& part) { part.gather_updated_values(context); });
}

void MixtureBranch::values_changed(device::Context& context) {
  for_each_part([&](nn::Module& part) { part.values_changed(context); });
}

void MixtureBranch::add_norms(nn::NormTable& table) {
  for_each_part([&](nn::Module& part) { part.add_norms(table); });
}

void MixtureBranch::add_slices(const nn::NormTable& table, std::vector<nn::ParameterSlice>& all) {
  for_each_part([&](nn::Module& part) { part.add_slices(table, all); });
}

void MixtureBranch::add_parameters(std::vector<nn::NamedArray>& all) {
  for_each_part([&](nn::Module& part) { part.add_parameters(all); });
}

void MixtureBranch::add_state(std::vector<nn::NamedArray>& all) {
  for_each_part([&](nn::Module& part) { part.add_state(all); });
}

}  // namespace switchyard::moe
