// Rows that a test has laid out itself, in any order, as the program reads rows.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "tensor/view.hpp"

namespace switchyard::test {

// Pointers into one array.
template <class T>
class RowPlaces : public std::vector<T*> {
 public:
  using std::vector<T*>::vector;

  // Lives as long as this does, and until the next call.
  tensor::IndexedRows<T> view(index_t cols) const {
    index_.clear();
    T* const lowest = this->empty() ? nullptr : *std::ranges::min_element(*this);
    for (T* const row : *this) index_.push_back(static_cast<std::int32_t>(row - lowest));
    // The index counts floats.
    return {index_.data(), static_cast<index_t>(this->size()), tensor::MatrixView<T>(lowest, 0, cols, 1)};
  }

 private:
  mutable std::vector<std::int32_t> index_;
};

}  // namespace switchyard::test
