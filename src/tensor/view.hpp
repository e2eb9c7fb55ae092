// Views of memory that somebody else owns: rows, matrices, and rows that lie in several places.
//
// tensor: dtype, Tensor and views. No arithmetic.
#pragma once

#include <cstdint>
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

// `rows` rows of `cols` floats, each where it lies: row r of a matrix or, by a table, one of two places. An
// expert reads local and received rows so, without a copy of the local ones; and a slot finds what its expert
// made of it. Indices and not pointers, since no memory of a device holds a pointer, and half the bytes.
template <class T>
struct IndexedRows {
  T* base[2] = {nullptr, nullptr};
  index_t stride[2] = {0, 0};
  // One per row: i >= 0 is row i of the first place, -1 - i row i of the second. Null: row r is row r of the
  // first place.
  const std::int32_t* index = nullptr;
  index_t rows = 0;
  index_t cols = 0;

  constexpr IndexedRows() = default;
  constexpr IndexedRows(MatrixView<T> m)
      : base{m.data, nullptr}, stride{m.stride, 0}, rows(m.rows), cols(m.cols) {}
  // `index` has `rows_in` entries; the rows of the places are counted by nobody.
  constexpr IndexedRows(const std::int32_t* index_in, index_t rows_in, MatrixView<T> first,
                        MatrixView<T> second = {})
      : base{first.data, second.data},
        stride{first.stride, second.stride},
        index(index_in),
        rows(rows_in),
        cols(first.cols) {}
  template <class U>
  requires(std::is_same_v<T, const U> && !std::is_same_v<T, U>) constexpr IndexedRows(MatrixView<U> m)
      : IndexedRows(MatrixView<T>(m)) {}
  template <class U>
  requires(std::is_same_v<T, const U> &&
           !std::is_same_v<T, U>) constexpr IndexedRows(const IndexedRows<U>& other)
      : base{other.base[0], other.base[1]},
        stride{other.stride[0], other.stride[1]},
        index(other.index),
        rows(other.rows),
        cols(other.cols) {}

  SY_HD constexpr T* row(index_t r) const {
    if (index == nullptr) return base[0] + r * stride[0];
    const index_t i = index[r];
    return i >= 0 ? base[0] + i * stride[0] : base[1] + (-1 - i) * stride[1];
  }
  constexpr IndexedRows rows_from(index_t first, index_t count) const {
    IndexedRows part = *this;
    part.rows = count;
    if (index != nullptr)
      part.index = index + first;
    else
      part.base[0] = base[0] + first * stride[0];
    return part;
  }
  constexpr IndexedRows rows_from(IndexRange range) const { return rows_from(range.begin, range.size()); }
  // Whether they lie in one matrix, one after the other.
  constexpr bool in_order() const { return index == nullptr; }
  constexpr MatrixView<T> matrix() const { return {base[0], rows, cols, stride[0]}; }  // of rows in order
};
using RowSource = IndexedRows<const float>;
using RowTarget = IndexedRows<float>;

}  // namespace switchyard::tensor
