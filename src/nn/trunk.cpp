#include "nn/trunk.hpp"

#include <algorithm>

#include "base/contract.hpp"
#include "ops/reduce.hpp"

namespace switchyard::nn {

index_t Trunk::add(const std::string& name, Role role, const tensor::Shape& shape, BankArray::First first,
                   const InitialWeights& initial) {
  SY_EXPECTS(!gradients_, "'{}' comes after hold()", name);
  const index_t count = tensor::element_count(shape);
  parameters_.push_back({{name, shape, first, shape.back(), role}, initial, {width_, width_ + count}});
  width_ += count;
  return std::ssize(parameters_) - 1;
}

void Trunk::hold(comm::DataPlane& data_plane, std::uint64_t seed, device::MemoryKind memory) {
  Vector<BankArray*> arrays;
  for (OfTrunk& parameter : parameters_) arrays.push_back(&parameter.array);
  values_ = lay_out(arrays, 1);
  for (const auto& [array, initial, columns] : parameters_) fill_first(array, 0, array.name, seed, initial);
  values_ = take_to(memory, std::move(values_), arrays);
  std::vector<ParameterSlice> whole;
  for (const auto& [array, initial, columns] : parameters_) {
    whole.push_back({.name = array.name,
                     .shape = array.shape,
                     .value = array.values,
                     .count = array.count(),
                     .norm_entry = std::ssize(whole),
                     .role = array.role});
  }
  gradients_.emplace(&data_plane, std::move(whole), memory);
}

void Trunk::add_norms(NormTable& table) {
  unit_ = table.units();
  for (index_t p = 0; p < std::ssize(parameters_); ++p)
    table.add_entry(p, ops::squared_pieces(parameters_[as_size(p)].array.count()));
  table.end_unit();
}

std::vector<ParameterSlice> Trunk::slices(const NormTable& table) {
  std::vector<ParameterSlice> slices(gradients_->slices().begin(), gradients_->slices().end());
  for (ParameterSlice& slice : slices) slice.belong_to(table, unit_);
  return slices;
}

std::vector<NamedArray> Trunk::arrays() {
  std::vector<NamedArray> arrays;
  for (const auto& [array, initial, columns] : parameters_)
    arrays.push_back({array.name, array.shape, array.values, /*shared=*/true, array.role});
  return arrays;
}

}  // namespace switchyard::nn
