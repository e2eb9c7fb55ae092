// What training changes: parameters, and the state that is kept beside them.
//
// nn: Parameter, Layer, dense, the fused convolution stage, Network. A layer's forward and backward are
// explicit; what forward must remember is a record that backward consumes.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "device/buffer.hpp"
#include "nn/options.hpp"
#include "nn/role.hpp"
#include "ops/of_sets.hpp"
#include "tensor/tensor.hpp"

namespace switchyard::nn {

// How the gradient of a parameter over all rows comes about (design: "Same bits on any layout").
enum class GradientRule {
  // Each tile gives a partial sum; the partials of all tiles are added in a fixed tree. For small parameters.
  per_tile,
  // One product over all rows in global order. Its output rows are cut into fixed blocks, which ranks share out
  // when the parameter is replicated. For large matrices: per-tile partials would cost tiles x size of memory
  // traffic.
  whole_rows,
};

// An array of a network, once for each of its sets of weights (nn/network.hpp): [sets, shape...].
struct BankArray {
  enum class First { drawn, zeros, ones };

  std::string name;     // within its network: "dense_1/weight"
  tensor::Shape shape;  // of one set
  First first = First::drawn;
  index_t fan_in = 1;  // of what is drawn
  Role role = Role::weight;
  // Set s begins `stride` floats behind set s - 1; null as long as the network has no memory.
  float* values = nullptr;
  index_t stride = 0;

  index_t count() const { return tensor::element_count(shape); }  // of one set
  float* of(index_t set) const { return values + set * stride; }
  Span<float> span(index_t set) const { return {of(set), count()}; }
  ops::OfSets<float> of_sets() const { return {values, stride}; }
};

struct Parameter : BankArray {
  GradientRule rule = GradientRule::per_tile;
};

// Not trained, yet part of the model: running statistics of batch norm. The same on every rank.
using StateArray = BankArray;

// How first weights and biases are drawn.
struct InitialWeights {
  // uniform: in [-b, b] with b = scale / sqrt(fan_in); scale 1 is the common default of dense and convolutional
  // layers (He et al. 2015 with a = sqrt(5)). normal: standard deviation `scale`, whatever fan_in is.
  InitialValues distribution = InitialValues::uniform;
  double scale = 1;  // 0: zeros
  // Draws of one seed are independent of each other.
  std::uint32_t draw = 0;
};

// Fills with values that are a pure function of (seed, draw, name, element). The name is the whole one: that of
// the path in checkpoints, "experts/0003/dense_1/weight".
void initialise(Span<float> values, std::string_view name, std::uint64_t seed, index_t fan_in,
                const InitialWeights& weights = {});

// Lays arrays one behind the other, each once for every set, in the host's memory.
device::Buffer<float> lay_out(Span<BankArray* const> arrays, index_t sets);
// Takes arrays that were laid out to another memory, with their values: the host's is that of a CPU.
device::Buffer<float> take_to(device::MemoryKind memory, device::Buffer<float> laid_out,
                              Span<BankArray* const> arrays);
// The first values of a set of an array that has memory; `name` as initialise().
void fill_first(const BankArray& array, index_t set, std::string_view name, std::uint64_t seed,
                const InitialWeights& weights);

}  // namespace switchyard::nn
