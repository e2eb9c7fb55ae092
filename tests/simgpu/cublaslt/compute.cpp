#include "compute.hpp"

#include <cmath>
#include <cstring>
#include <vector>

namespace simgpu::cublaslt {
namespace {

using Floats = std::vector<float>;

template <class T>
T at(const std::byte* data, std::uint64_t element) {
  T value;
  std::memcpy(&value, data + element * sizeof(T), sizeof value);
  return value;
}

float widen(const std::byte* data, std::uint64_t element, cudaDataType_t type) {
  if (type == CUDA_R_8I) return at<std::int8_t>(data, element);
  if (type == CUDA_R_32F) return at<float>(data, element);
  return __builtin_bit_cast(float, static_cast<std::uint32_t>(at<std::uint16_t>(data, element)) << 16U);
}

// 10 bits behind the point, cut off.
float to_tf32(float value) {
  return __builtin_bit_cast(float, __builtin_bit_cast(std::uint32_t, value) & 0xffffe000U);
}

// op(X) with its inner index first: element (i, r) at i * outer + r.
struct Operand {
  Floats values;
  std::uint64_t inner, outer;
};
Operand operand(const std::byte* data, const Layout& layout, std::int32_t batch, bool inner_is_column,
                bool tf32) {
  const std::uint64_t inner = inner_is_column ? layout.columns : layout.rows;
  const std::uint64_t outer = inner_is_column ? layout.rows : layout.columns;
  Operand result{Floats(inner * outer), inner, outer};
  const auto begin = static_cast<std::uint64_t>(batch * layout.stride);
  const auto apart = static_cast<std::uint64_t>(layout.apart);
  for (std::uint64_t i = 0; i < inner; ++i) {
    for (std::uint64_t r = 0; r < outer; ++r) {
      const std::uint64_t element = begin + (inner_is_column ? i * apart + r : r * apart + i);
      const float value = widen(data, element, layout.type);
      result.values[i * outer + r] = tf32 ? to_tf32(value) : value;
    }
  }
  return result;
}

// sums[r] += a(i, r) b for the terms i = first, first + step, ... below the end; `Sum` is float or, of whole
// numbers, std::int32_t.
template <class Sum>
void add_terms(const Operand& a, const Operand& b, std::uint64_t column, std::uint64_t first,
               std::uint64_t step, Sum* sums) {
  for (std::uint64_t i = first; i < a.inner; i += step) {
    const Sum factor = static_cast<Sum>(b.values[i * b.outer + column]);
    const float* const terms = a.values.data() + i * a.outer;
    for (std::uint64_t r = 0; r < a.outer; ++r) sums[r] += static_cast<Sum>(terms[r]) * factor;
  }
}

template <class Sum>
std::vector<Sum> sums_of(const Operand& a, const Operand& b, std::uint64_t column, Order order) {
  std::vector<Sum> sums(a.outer), more(a.outer);
  switch (order) {
    case Order::ascending:
      add_terms(a, b, column, 0, 1, sums.data());
      break;
    case Order::descending:
      for (std::uint64_t i = a.inner; i-- > 0;) {
        const Sum factor = static_cast<Sum>(b.values[i * b.outer + column]);
        for (std::uint64_t r = 0; r < a.outer; ++r)
          sums[r] += static_cast<Sum>(a.values[i * a.outer + r]) * factor;
      }
      break;
    case Order::even_then_odd:
      add_terms(a, b, column, 0, 2, sums.data());
      add_terms(a, b, column, 1, 2, more.data());
      for (std::uint64_t r = 0; r < a.outer; ++r) sums[r] += more[r];
      break;
  }
  return sums;
}

template <class Sum>
Sum finished(const Work& w, Sum sum, Sum before, std::uint64_t row) {
  Sum value = static_cast<Sum>(w.alpha) * sum;
  if (w.beta != 0) value += static_cast<Sum>(w.beta) * before;
  if ((w.operation.epilogue & CUBLASLT_EPILOGUE_BIAS) != 0) value += static_cast<Sum>(w.bias[row]);
  // As the real one, which makes 0 of a NaN.
  if ((w.operation.epilogue & CUBLASLT_EPILOGUE_RELU) != 0) value = value > 0 ? value : Sum{0};
  return value;
}

template <class Sum>
void compute_one(const Work& w, std::int32_t batch) {
  const bool tf32 = w.operation.compute == CUBLAS_COMPUTE_32F_FAST_TF32;
  const Operand a = operand(w.a, w.a_layout, batch, w.operation.transpose_a == CUBLAS_OP_N, tf32);
  const Operand b = operand(w.b, w.b_layout, batch, w.operation.transpose_b == CUBLAS_OP_T, tf32);
  for (std::uint64_t column = 0; column < b.outer; ++column) {
    std::vector<Sum> sums = sums_of<Sum>(a, b, column, w.order);
    if (w.first_is_wrong && column == b.outer - 1) sums[0] += Sum{1};
    for (std::uint64_t row = 0; row < a.outer; ++row) {
      const auto place = [&](const Layout& layout) {
        return static_cast<std::uint64_t>(batch * layout.stride) +
               column * static_cast<std::uint64_t>(layout.apart) + row;
      };
      const Sum before = w.beta == 0 ? Sum{0} : at<Sum>(w.c, place(w.c_layout));
      const Sum value = finished(w, sums[row], before, row);
      std::memcpy(w.d + place(w.d_layout) * sizeof(Sum), &value, sizeof value);
    }
  }
}

}  // namespace

void compute(const Work& work) {
  for (std::int32_t batch = 0; batch < work.d_layout.batch; ++batch) {
    if (work.operation.compute == CUBLAS_COMPUTE_32I) {
      compute_one<std::int32_t>(work, batch);
    } else {
      compute_one<float>(work, batch);
    }
  }
}

}  // namespace simgpu::cublaslt
