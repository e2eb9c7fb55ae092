// The parameters of a model that every rank has, outside of banks: those of norms and embeddings.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "nn/gradient_tree.hpp"
#include "nn/parameter.hpp"

namespace switchyard::nn {

// Modules add theirs by name, then hold() gives all of them memory and one GradientTree. Before that, names,
// shapes and counts are known: what `plan` asks, without memory. A module writes its part of a shard's gradient
// to the columns of its parameter.
class Trunk {
 public:
  // Returns the number by which the module asks for it. `name` is that of the path in checkpoints.
  index_t add(const std::string& name, Role role, const tensor::Shape& shape, BankArray::First first,
              const InitialWeights& initial = {});
  // In that memory. The ranks of `data_plane` share out gradients and updates.
  void hold(comm::DataPlane& data_plane, std::uint64_t seed, device::MemoryKind memory);

  index_t parameter_count() const { return width_; }
  Span<float> values(index_t parameter) { return parameters_[as_size(parameter)].array.span(0); }
  // Its place in a row of the tree.
  IndexRange columns(index_t parameter) const { return parameters_[as_size(parameter)].columns; }
  GradientTree& gradients() { return *gradients_; }

  // As a unit of the table of norms, and what this rank updates of it.
  void add_norms(NormTable& table);
  std::vector<ParameterSlice> slices(const NormTable& table);
  std::vector<NamedArray> arrays();

 private:
  struct OfTrunk {
    BankArray array;
    InitialWeights initial;
    IndexRange columns;
  };
  std::vector<OfTrunk> parameters_;
  index_t width_ = 0;
  device::Buffer<float> values_;
  std::optional<GradientTree> gradients_;
  index_t unit_ = 0;
};

}  // namespace switchyard::nn
