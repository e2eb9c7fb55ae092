// The mixture-of-experts layer.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "moe/capacity.hpp"
#include "moe/experts.hpp"
#include "moe/router.hpp"
#include "nn/module.hpp"

namespace switchyard::moe {

struct LayerOptions {
  std::string scope = {};  // of its parameters' names: "" or "blocks/00/mixture/"
  nn::NetworkShape gate = {};
  nn::NetworkShape expert = {};
  index_t outputs = 0;  // of an expert
  RouterOptions routing = {};
  nn::NetworkOptions gate_options;
  nn::NetworkOptions expert_options;
  index_t gradient_blocks = 0;  // of an expert's rows, which its gradient is a sum over; 0: they are not cut
  std::uint64_t seed = 0;

  // Of a row that is `rows` rows to the layer. The router's are those of the rank that has the row, with what
  // joins the slots; the experts' those of the ranks that host them, all experts together.
  nn::Cost router_cost(index_t rows = 1) const;
  nn::Cost experts_cost(index_t rows = 1) const;
};

// Collective over the ranks of its resources in every call, in the order of the calls below.
class Layer {
 public:
  Layer(const LayerOptions& options, comm::Resources resources, Placement placement);

  // route -> limit -> plan -> dispatch -> experts -> combine; a router that looks at what experts return weighs
  // them last
  LayerOutput forward(const nn::Pass& pass);
  SlotGradients begin_backward(const nn::Pass& pass);
  // combine, experts, router, mirrored with the same plan; `output` is the one of forward. A frozen network has
  // no backward, and frozen experts no mirror of combine. Then, if it is wanted, the mirror of dispatch, where
  // the rows are another layer's and not data (nn::NetworkOptions::input_gradient of both networks): [N, in].
  // The gradients by a row's experts are added in the order of slots, and the router's after them. While rows
  // travel between GPUs the router's network goes back, and then the experts' own gradients are computed.
  tensor::Matrix backward(const nn::Pass& pass, const LayerOutput& output, const SlotGradients& gradients,
                          const RegulariserGradients& regularisers, nn::Wants wants);
  // Parameter gradients over the global batch.
  void reduce_gradients(const nn::Pass& pass);

  // After parameters were written from outside: all of them, by a checkpoint, or those that are trained, by an
  // update. Local.
  enum class Changed { all, trained };
  void values_changed(device::Context& context, Changed changed);

  // After the update: every rank gets what the others changed of the router. Collective.
  void gather_updated_values(device::Context& context);

  // Then, with the slots of each expert in the whole batch, [E] in the context's memory. Local.
  void after_update(device::Context& context, Span<const std::int64_t> loads) {
    router_->after_update(context, loads);
  }

  // As units of the table of norms: the router, then each expert of the layer. What this rank updates of them
  // and what it holds, for checkpoints. Local.
  void add_norms(nn::NormTable& table);
  std::vector<nn::ParameterSlice> slices(const nn::NormTable& table);
  std::vector<nn::NamedArray> parameters();
  std::vector<nn::NamedArray> state();

  index_t outputs() const { return outputs_; }
  Router& router() { return *router_; }
  const Router& router() const { return *router_; }
  Experts& experts() { return experts_; }
  const Experts& experts() const { return experts_; }
  const DispatchPlan& plan() const { return plan_; }

 private:
  // of_layer(layer): named values.
  std::vector<nn::NamedArray> arrays(const auto& of_layer);

  comm::Resources resources_;
  Placement placement_;
  nn::RowBlocks blocks_;  // of experts
  index_t outputs_;
  index_t unit_ = 0;  // of the router, in the table of norms
  std::unique_ptr<Router> router_;
  Capacity capacity_;
  Experts experts_;
  DispatchPlan plan_;
  Exchange exchange_;
};

}  // namespace switchyard::moe
