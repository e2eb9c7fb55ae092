#include "nn/patch_filters.hpp"

#include <fmt/format.h>

#include "base/contract.hpp"
#include "base/error.hpp"
#include "nn/device_limits.hpp"
#include "nn/layer_text.hpp"
#include "nn/network_options.hpp"
#include "tensor/tensor.hpp"

namespace switchyard::nn {
namespace {

struct Record : LayerRecord {
  tensor::Matrix patch_sums, filtered;  // see ops::PatchFilterRecord
  Span<float> scratch;                  // [tiles, workspace_floats]
  tensor::Matrix cut;                   // the rows as patches, if they are cut
};

class PatchFilters final : public Layer {
 public:
  PatchFilters(const std::string& name, const PatchFiltersShape& shape) : shape_(shape) {
    const auto add = [&](std::string_view array, Role role, tensor::Shape sizes) {
      parameters_.push_back({{fmt::format("{}/{}", name, array), std::move(sizes), BankArray::First::drawn,
                              shape.patch_size, role}});
    };
    add("weight", Role::weight, {shape.patch_size, shape.units()});
    if (shape.bias) add("bias", Role::bias, {shape.units()});
  }

  index_t in_features() const override { return shape_.in_features(); }
  index_t out_features() const override { return shape_.outputs; }
  index_t multiply_adds() const override { return shape_.multiply_adds(); }
  double activation_floats() const override {
    index_t floats = 2 * shape_.outputs;
    if (shape_.sums_first()) floats += shape_.patch_size;
    if (!shape_.is_linear_map()) floats += shape_.filtered_patches() * shape_.units();
    if (shape_.side > 0) floats += shape_.in_features();
    return static_cast<double>(floats);
  }
  Span<Parameter> parameters() override { return parameters_; }
  void hold(index_t /*sets*/, device::MemoryKind memory) override {
    expect_scratch(memory, "layer of patch filters", ops::patch_filters_scratch_bytes(shape_));
  }

  std::unique_ptr<LayerRecord> make_record() const override { return std::make_unique<Record>(); }
  void begin_forward(const Pass& pass, LayerRecord& of_layer) const override {
    auto& record = static_cast<Record&>(of_layer);
    const index_t rows = pass.tiles().local_rows();
    const auto matrix = [&](index_t cols) { return tensor::allocate_matrix(pass.workspace(), rows, cols); };
    record.output = matrix(shape_.outputs);
    if (!shape_.is_linear_map()) record.filtered = matrix(shape_.filtered_patches() * shape_.units());
    if (shape_.sums_first()) record.patch_sums = matrix(shape_.patch_size);
    if (shape_.side > 0) record.cut = matrix(shape_.in_features());
  }
  void forward(const Pass& pass, const TileRun& run, LayerRecord& of_layer) const override {
    auto& record = static_cast<Record&>(of_layer);
    const ops::PatchFilterWeights weights{parameters_[0].of_sets(),
                                          shape_.bias ? parameters_[1].of_sets() : ops::OfSets<float>()};
    if (shape_.side > 0) {
      ops::cut_patches(pass.context, record.input.rows_from(run.rows), shape_.image, shape_.side,
                       record.cut.rows_from(run.rows));
    }
    ops::patch_filters_forward(pass.context, shape_, pass.tiles().view(run.tiles), rows_of(record), weights,
                               record.output);
  }

  void begin_backward(const Pass& pass, LayerRecord& of_layer) const override {
    static_cast<Record&>(of_layer).scratch =
        pass.workspace().allocate<float>(pass.tiles().local_count() * workspace_floats(pass.tiles()));
  }
  void backward(const Pass& pass, IndexRange tiles, LayerRecord& of_layer, tensor::Matrix d_input,
                TilePartials partials) const override {
    SY_EXPECTS(d_input.data == nullptr, "patch filters are a network's first layer and give no input gradient");
    auto& record = static_cast<Record&>(of_layer);
    const index_t floats = workspace_floats(pass.tiles());
    ops::patch_filters_backward(pass.context, shape_, pass.tiles().view(tiles), rows_of(record),
                                record.scratch.subspan(tiles.begin * floats, tiles.size() * floats),
                                partials.matrix(tiles.size(), shape_.weight_count() + shape_.bias_count()));
  }

 private:
  // For one tile.
  index_t workspace_floats(const BatchTiles& tiles) const {
    return ops::patch_filters_workspace_floats(shape_, tiles.most_tile_rows());
  }
  ops::PatchFilterRows rows_of(const Record& record) const {
    return {shape_.side > 0 ? tensor::RowSource(record.cut) : record.input,
            {record.patch_sums, record.filtered},
            record.d_output};
  }

  PatchFiltersShape shape_;
  Vector<Parameter> parameters_;  // weight, and bias if there is one
};

using Kind = LayerSpec::Kind;
constexpr std::pair<Kind, ops::PatchActivation> activations[] = {{Kind::relu, ops::PatchActivation::relu},
                                                                 {Kind::cubic, ops::PatchActivation::cubic},
                                                                 {Kind::celu, ops::PatchActivation::celu},
                                                                 {Kind::gelu, ops::PatchActivation::gelu},
                                                                 {Kind::tanh, ops::PatchActivation::tanh}};

}  // namespace

std::optional<PatchFiltersShape> PatchFiltersShape::read(LayerText& text) {
  if (text.next > 0 || (!text.at(Kind::patch_filters) && !text.at(Kind::patches))) return {};
  const tensor::SampleShape sample = text.sample;
  PatchFiltersShape shape{{sample.channels * sample.height, sample.width, text.outputs, 0}};
  if (text.at(Kind::patches)) {
    const index_t side = text.take_outputs();
    if (sample.height % side != 0 || sample.width % side != 0) {
      throw ConfigError(fmt::format(
          "patches:{} of the {} does not cut images of {} x {} pixels into squares; take a number that divides both",
          side, text.network, sample.height, sample.width));
    }
    shape = {{sample.height / side * (sample.width / side), sample.channels * side * side, text.outputs, 0},
             side,
             sample};
  }
  if (text.at(Kind::patch_filters)) shape.filters = text.take_outputs();
  shape.bias = text.take(Kind::bias);
  for (const auto& [kind, activation] : activations) {
    if (!text.take(kind)) continue;
    shape.activation = activation;
    break;
  }
  if (shape.filters == 0 || !text.take(Kind::sum) || text.next != text.spec.size()) {
    throw ConfigError(fmt::format(
        "the {} begins with patch filters and is not `[patches:N] patch_filters:N [bias] [ACTIVATION] sum:WORD` (one "
        "fused layer, with an activation among relu, cubic, celu, gelu, tanh, or without one; WORD is experts in a "
        "gate, classes in an expert); change model.{}",
        text.network, text.network));
  }
  return shape;
}

std::unique_ptr<Layer> PatchFiltersShape::make(LayerNames& names, const NetworkOptions&) const {
  return std::make_unique<PatchFilters>(names.next("patch_filters"), *this);
}

}  // namespace switchyard::nn
