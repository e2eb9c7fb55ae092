// Views of memory that somebody else owns: rows, matrices, and rows that lie in several places.
//
// tensor: dtype, Tensor and views. No arithmetic.
#pragma once

#include <type_traits>

#include "base/host_device.hpp"
#include "base/ids.hpp"
#include "base/partition.hpp"

namespace switchyard::tensor {

// rows x cols, row-major, rows `stride` elements apart (stride >= cols).
template <class T>
struct MatrixView {
  T* data = nullptr;
  index_t rows = 0;
  index_t cols = 0;
  index_t stride = 0;

  constexpr MatrixView() = default;
  constexpr MatrixView(T* data_in, index_t rows_in, index_t cols_in)
      : MatrixView(data_in, rows_in, cols_in, cols_in) {}
  constexpr MatrixView(T* data_in, index_t rows_in, index_t cols_in, index_t stride_in)
      : data(data_in), rows(rows_in), cols(cols_in), stride(stride_in) {}

  // A view that may write converts to one that may only read.
  template <class U>
  requires std::is_same_v<T, const U>
  constexpr MatrixView(const MatrixView<U>& other)
      : data(other.data), rows(other.rows), cols(other.cols), stride(other.stride) {}

  SY_HD constexpr T* row(index_t r) const { return data + r * stride; }
  SY_HD constexpr T& operator()(index_t r, index_t c) const { return data[r * stride + c]; }
  constexpr MatrixView rows_from(index_t first, index_t count) const {
    return {row(first), count, cols, stride};
  }
  constexpr MatrixView rows_from(IndexRange range) const { return rows_from(range.begin, range.size()); }
};

using Matrix = MatrixView<float>;
using ConstMatrix = MatrixView<const float>;

// `rows` rows of `cols` floats, each where it lies: in one matrix, or wherever a table of pointers says. An
// expert reads local and received rows through such a table, so that local rows are not copied.
struct RowSource {
  const float* base = nullptr;  // used when table is null
  index_t stride = 0;
  const float* const* table = nullptr;  // one pointer per row
  index_t rows = 0;
  index_t cols = 0;

  constexpr RowSource() = default;
  constexpr RowSource(ConstMatrix m) : base(m.data), stride(m.stride), rows(m.rows), cols(m.cols) {}
  constexpr RowSource(const float* const* table_in, index_t rows_in, index_t cols_in)
      : table(table_in), rows(rows_in), cols(cols_in) {}

  SY_HD constexpr const float* row(index_t r) const { return table != nullptr ? table[r] : base + r * stride; }
  constexpr RowSource rows_from(index_t first, index_t count) const {
    RowSource part = *this;
    part.rows = count;
    if (table != nullptr)
      part.table = table + first;
    else
      part.base = base + first * stride;
    return part;
  }
  constexpr RowSource rows_from(IndexRange range) const { return rows_from(range.begin, range.size()); }
};

}  // namespace switchyard::tensor
