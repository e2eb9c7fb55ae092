#include "nn/parameter.hpp"

#include <algorithm>
#include <cmath>

#include "base/hash.hpp"
#include "base/partition.hpp"
#include "base/philox.hpp"
#include "device/transfer.hpp"

namespace switchyard::nn {

namespace {

void fill_uniform(Span<float> values, std::uint64_t key, std::uint32_t draw, float bound) {
  for (std::size_t i = 0; i < values.size(); ++i) {
    const Philox block = Philox::at(key, RandomUse::initial_weights, i / 4, draw);
    values[i] = (2.0F * block.uniform(static_cast<int>(i % 4)) - 1.0F) * bound;
  }
}

// One value of each pair.
void fill_normal(Span<float> values, std::uint64_t key, std::uint32_t draw, double deviation) {
  for (std::size_t i = 0; i < values.size(); ++i) {
    const Philox block = Philox::at(key, RandomUse::initial_weights, i, draw);
    const BoxMuller pair(block.uniform64(0), block.uniform64(1));
    values[i] = static_cast<float>(deviation * pair.radius * std::cos(pair.angle));
  }
}

}  // namespace

void initialise(Span<float> values, std::string_view name, std::uint64_t seed, index_t fan_in,
                const InitialWeights& weights) {
  const std::uint64_t key = seed ^ fnv1a(name);
  switch (weights.distribution) {
    case InitialValues::uniform:
      return fill_uniform(values, key, weights.draw,
                          static_cast<float>(weights.scale / std::sqrt(static_cast<double>(fan_in))));
    case InitialValues::normal:
      return fill_normal(values, key, weights.draw, weights.scale);
  }
}

device::Buffer<float> lay_out(Span<BankArray* const> arrays, index_t sets) {
  constexpr index_t aligned_floats = index_t{device::alignment_bytes} / size_of<float>;
  index_t floats = 0;
  for (BankArray* array : arrays) {
    array->stride = round_up(array->count(), aligned_floats);
    floats += sets * array->stride;
  }
  device::Buffer<float> memory(floats);
  float* next = memory.data();
  for (BankArray* array : arrays) {
    array->values = next;
    next += sets * array->stride;
  }
  return memory;
}

device::Buffer<float> take_to(device::MemoryKind memory, device::Buffer<float> laid_out,
                              Span<BankArray* const> arrays) {
  if (memory == device::MemoryKind::host) return laid_out;
  device::Buffer<float> taken = device::make_table<float>(memory, laid_out.span());
  for (BankArray* array : arrays) array->values = taken.data() + (array->values - laid_out.data());
  return taken;
}

void fill_first(const BankArray& array, index_t set, std::string_view name, std::uint64_t seed,
                const InitialWeights& weights) {
  switch (array.first) {
    case BankArray::First::drawn:
      return initialise(array.span(set), name, seed, array.fan_in, weights);
    case BankArray::First::zeros:
      return;  // as memory is
    case BankArray::First::ones:
      std::ranges::fill(array.span(set), 1.0F);
  }
}

}  // namespace switchyard::nn
