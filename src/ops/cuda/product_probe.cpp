#include "ops/cuda/product_probe.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string_view>

#include "ops/convert.hpp"
#include "ops/tile_product.hpp"

namespace switchyard::ops::cuda {
namespace {

// More than the tallest tile of the library (256), and no multiple of anything that a kernel is cut by.
constexpr index_t most_rows = 263;

struct Part {
  index_t first, rows, count;
};
constexpr Part parts[] = {{0, 1, 1},   {37, 1, 1},  {5, 2, 1},  {64, 7, 1}, {0, 33, 1},
                          {66, 64, 1}, {1, 262, 1}, {0, 1, 64}, {3, 64, 4}};

// In [-1, 1), with all 24 bits of a float, or short sums would be exact in any order.
class Draws {
 public:
  explicit Draws(std::uint64_t seed) : state_(seed) {}
  float next() {
    state_ = state_ * 6364136223846793005U + 1442695040888963407U;  // Knuth's MMIX
    return static_cast<float>(static_cast<std::int32_t>(state_ >> 40U) - (1 << 23)) * 0x1p-23F;
  }

 private:
  std::uint64_t state_;
};

template <class Number>
std::vector<std::byte> as_bytes(index_t count, const auto& next) {
  std::vector<std::byte> bytes(as_size(count) * sizeof(Number));
  for (index_t i = 0; i < count; ++i) {
    const Number value = next();
    std::memcpy(bytes.data() + as_size(i) * sizeof(Number), &value, sizeof value);
  }
  return bytes;
}

std::vector<std::byte> random_operand(Arithmetic arithmetic, index_t count, std::uint64_t seed) {
  Draws draws(seed);
  switch (arithmetic) {
    case Arithmetic::float32:
    case Arithmetic::tf32:
      return as_bytes<float>(count, [&] { return draws.next(); });
    case Arithmetic::bfloat16:
      return as_bytes<bfloat16>(count, [&] { return to_bfloat16(draws.next()); });
    case Arithmetic::int8:
      return as_bytes<std::int8_t>(count, [&] { return static_cast<std::int8_t>(draws.next() * 63.0F); });
  }
  return {};
}

device::Buffer<std::byte> on_device(const std::vector<std::byte>& bytes, device::MemoryKind memory) {
  device::Buffer<std::byte> buffer(std::ssize(bytes), memory);
  device::copy_now(buffer.data(), memory, bytes.data(), bytes.size());
  return buffer;
}

// Of the values [first, first + count).
bool same_bits(const std::vector<float>& a, const std::vector<float>& b, std::size_t first, std::size_t count) {
  return std::memcmp(a.data() + first, b.data() + first, count * sizeof(float)) == 0;
}

index_t stored_rows(Transpose transpose, index_t rows, index_t columns) {
  return transpose == Transpose::no ? rows : columns;
}

}  // namespace

ProductProbe::ProductProbe(device::Context& context, const ProductKey& key)
    : context_(context), key_(key), whole_(example_shape(key, most_rows)) {
  const index_t a_count = stored_rows(key.transpose_a, whole_.m, whole_.k) * whole_.lda;
  const index_t b_count = stored_rows(key.transpose_b, whole_.k, whole_.n) * whole_.ldb;
  a_ = on_device(random_operand(key.arithmetic, a_count, 1), context.memory());
  b_ = on_device(random_operand(key.arithmetic, b_count, 2), context.memory());
  c_ = device::Buffer<float>(whole_.m * whole_.ldc, context.memory());
  if (key.bias != 0) {
    const std::vector<std::byte> values = random_operand(Arithmetic::float32, whole_.n, 3);
    bias_ = device::Buffer<float>(whole_.n, context.memory());
    device::copy_now(bias_.data(), context.memory(), values.data(), values.size());
  }
  expected_ = by_own_kernel(part(0, whole_.m, 1));
}

Product ProductProbe::part(index_t first, index_t rows, index_t count) {
  Product product{.shape = whole_,
                  .arithmetic = key_.arithmetic,
                  .a = a_.data() + first * whole_.lda * bytes_of_operand(key_.arithmetic),
                  .b = b_.data(),
                  .c = c_.data() + first * whole_.ldc,
                  .bias = key_.bias != 0 ? bias_.data() : nullptr,
                  .count = count,
                  .a_stride = count > 1 ? rows * whole_.lda : 0,
                  .b_stride = 0,
                  .c_stride = count > 1 ? rows * whole_.ldc : 0};
  product.shape.m = rows;
  product.shape.epilogue = key_.bias != 0 ? Epilogue::bias : Epilogue::none;
  return product;
}

ProductProbe::Values ProductProbe::fetch(index_t rows) {
  context_.wait();
  Values all(as_size(rows * whole_.ldc));
  device::copy_back_now(all.data(), c_.data(), context_.memory(), all.size() * sizeof(float));
  Values dense(as_size(rows * whole_.n));
  for (index_t row = 0; row < rows; ++row)
    std::copy_n(all.data() + row * whole_.ldc, whole_.n, dense.data() + row * whole_.n);
  return dense;
}

ProductProbe::Values ProductProbe::by_own_kernel(const Product& p) {
  const auto compute = [&]<class Number>(const Number*) {
    tile_product(context_, p.shape, static_cast<const Number*>(p.a), static_cast<const Number*>(p.b), p.c,
                 p.bias);
  };
  if (key_.arithmetic == Arithmetic::bfloat16) {
    compute(static_cast<const bfloat16*>(nullptr));
  } else if (key_.arithmetic == Arithmetic::int8) {
    compute(static_cast<const std::int8_t*>(nullptr));
  } else {
    compute(static_cast<const float*>(nullptr));
  }
  return fetch(p.shape.m);
}

// The whole result, of which the product has written its part; the rest is 0.
ProductProbe::Values ProductProbe::compute(cublasLtHandle_t handle, Descriptors& descriptors,
                                           const Algorithm& algorithm, const Product& product) {
  device::zero_bytes(context_.memory(), c_.data(), as_size(c_.count()) * sizeof(float));
  descriptors.run(handle, product, algorithm, context_.stream());
  if (key_.arithmetic == Arithmetic::int8)
    int32_to_float(context_, {c_.data(), whole_.m, whole_.n, whole_.ldc});
  return fetch(whole_.m);
}

// k terms of at most 1, each with a relative error of one rounding of the sum so far, which two orders of
// summing share; and TF32 cuts operands to 10 bits.
double ProductProbe::tolerance() const {
  if (key_.arithmetic == Arithmetic::int8) return 0;
  const auto k = static_cast<double>(whole_.k + 1);
  const double of_operands = key_.arithmetic == Arithmetic::tf32 ? 0x1p-9 : 0;
  return 2 * k * std::sqrt(k) * 0x1p-24 + std::sqrt(k) * of_operands * 4;
}

std::string ProductProbe::objection_to_values(const Values& values) const {
  for (std::size_t i = 0; i < values.size(); ++i) {
    const double difference = std::abs(static_cast<double>(values[i]) - static_cast<double>(expected_[i]));
    if (!(difference <= tolerance()))
      return fmt::format("it gives {} where our kernel gives {}", values[i], expected_[i]);
  }
  return "";
}

std::string ProductProbe::objection(cublasLtHandle_t handle, Descriptors& descriptors,
                                    const Algorithm& algorithm) {
  const Product everything = part(0, whole_.m, 1);
  if (!descriptors.accepts(handle, everything, algorithm)) return "the library itself refuses it";
  const Values whole = compute(handle, descriptors, algorithm, everything);
  if (std::string wrong = objection_to_values(whole); !wrong.empty()) return wrong;
  if (key_.transpose_a == Transpose::yes) {
    const Values again = compute(handle, descriptors, algorithm, everything);
    return same_bits(again, whole, 0, again.size()) ? "" : "it gives other bits the second time";
  }
  for (const Part& p : parts) {
    if (key_.bias != 0 && p.count > 1) continue;  // never asked for
    const auto words = [&](std::string_view what) {
      return fmt::format("{} for {} products of {} rows from row {} on", what, p.count, p.rows, p.first);
    };
    const Product product = part(p.first, p.rows, p.count);
    if (!descriptors.accepts(handle, product, algorithm)) return words("the library itself refuses it");
    const Values some = compute(handle, descriptors, algorithm, product);
    if (!same_bits(some, whole, as_size(p.first * whole_.n), as_size(p.rows * p.count * whole_.n)))
      return words("a row has other bits");
  }
  return "";
}

}  // namespace switchyard::ops::cuda
