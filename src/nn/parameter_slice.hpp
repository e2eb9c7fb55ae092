// What of a model's parameters a rank updates, and how the norm of a gradient is put together from all ranks.
#pragma once

#include <string>
#include <vector>

#include "base/partition.hpp"
#include "base/span.hpp"
#include "nn/role.hpp"
#include "tensor/tensor.hpp"

namespace switchyard::nn {

// An array of a model for a checkpoint, whole.
struct NamedArray {
  std::string name;
  tensor::Shape shape;
  float* data = nullptr;
  bool shared = false;  // every rank has it; one copy is written
  Role role = Role::weight;
  bool is_copy = false;  // another rank has it, too, and writes it
};

struct NormTable;

// A run of elements of one parameter that this rank alone updates: value and gradient side by side. The unit of
// the optimiser.
struct ParameterSlice {
  std::string name;           // of the parameter
  tensor::Shape shape;        // of the parameter
  index_t first_element = 0;  // in row-major order
  float* value = nullptr;
  float* gradient = nullptr;
  index_t count = 0;       // elements
  index_t norm_entry = 0;  // place in the table of squared norms; until belong_to(), from the unit's first
  Role role = Role::weight;
  index_t unit = 0;  // of the norm table

  IndexRange elements() const { return {first_element, first_element + count}; }
  void belong_to(const NormTable& table, index_t of_unit);
};

// What the entries of a model's table of squared norms belong to, and how they come about: an entry is the
// square of one slice, or the ops::sum_tree of the squares of its pieces (ops::squared_piece), which ranks
// share out. A unit is what has a norm of its own for optim.name = normalised_sgd: a network.
struct NormTable {
  Vector<index_t> unit_begin = {0};    // entries of unit u: [unit_begin[u], unit_begin[u + 1])
  Vector<index_t> parameter;           // per entry; the blocks of a parameter are neighbours
  Vector<index_t> square_begin = {0};  // squares of entry i: [square_begin[i], square_begin[i + 1])

  void add_entry(index_t of_parameter, index_t squares = 1) {
    parameter.push_back(of_parameter);
    square_begin.push_back(square_begin.back() + squares);
  }
  void end_unit() { unit_begin.push_back(std::ssize(parameter)); }
  // Appends a unit whose entries are one square each.
  void add(const std::vector<index_t>& parameters) {
    for (const index_t of_parameter : parameters) add_entry(of_parameter);
    end_unit();
  }
  index_t units() const { return std::ssize(unit_begin) - 1; }
  index_t entries() const { return unit_begin.back(); }
  index_t squares() const { return square_begin.back(); }
};

inline void ParameterSlice::belong_to(const NormTable& table, index_t of_unit) {
  unit = of_unit;
  norm_entry += table.unit_begin[of_unit];
}

}  // namespace switchyard::nn
