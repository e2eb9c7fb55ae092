// A mixture layer as models of tokens have it: of sub-tokens, and beside a shared expert, where they are asked
// for.
#pragma once

#include <optional>

#include "moe/mixture_module.hpp"
#include "nn/network_module.hpp"

namespace switchyard::moe {

struct MixtureBranchOptions {
  LayerOptions layer;  // of rows of width / sub_heads
  index_t sub_heads = 1;
  // Row to row, before a token is cut and after it is one again (Huang et al. 2024).
  std::optional<nn::NetworkModuleOptions> head = {}, merge = {};
  std::optional<nn::NetworkModuleOptions> shared = {};  // an expert that sees every token

  // Of a token.
  struct Costs {
    nn::Cost head_and_merge = {}, router = {}, experts = {}, shared = {};
  };
  Costs costs() const;
};

// y = merge(mixture(head(x))) + shared(x), where the mixture takes each row as `sub_heads` rows, one behind the
// other, that are routed on their own: heads' columns are rows already, so that nothing is copied. Collective
// over the batch's ranks.
class MixtureBranch final : public nn::Module {
 public:
  MixtureBranch(const MixtureBranchOptions& options, comm::Resources resources, Placement placement);

  tensor::Matrix forward(const nn::Pass& pass, tensor::ConstMatrix x) override;
  tensor::Matrix backward(const nn::Pass& pass, tensor::Matrix d_y, nn::Wants wants) override;

  void reduce_gradients(const nn::Pass& pass) override;
  void gather_updated_values(device::Context& context) override;
  void values_changed(device::Context& context) override;
  void add_norms(nn::NormTable& table) override;
  void add_slices(const nn::NormTable& table, std::vector<nn::ParameterSlice>& all) override;
  void add_parameters(std::vector<nn::NamedArray>& all) override;
  void add_state(std::vector<nn::NamedArray>& all) override;

  MixtureModule& mixture() { return mixture_; }
  index_t sub_heads() const { return sub_heads_; }

 private:
  // The batch as the mixture sees it.
  struct Record {
    nn::BatchTiles tiles;
    nn::Batch batch;
  };
  void cut(const nn::Pass& pass, Record& record) const;
  // use(module) for each that there is.
  void for_each_part(const auto& use);

  index_t sub_heads_;
  std::optional<nn::NetworkModule> head_, merge_, shared_;
  MixtureModule mixture_;
};

}  // namespace switchyard::moe
