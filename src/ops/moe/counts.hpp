// How many rows did what: counts of a batch's rows, of their experts and classes, in the memory of a context.
#pragma once

#include <cstdint>

#include "base/host_device.hpp"
#include "base/span.hpp"
#include "device/context.hpp"
#include "tensor/view.hpp"

namespace switchyard::ops {

// The class that one expert's output row names.
enum class NamedClass {
  largest,   // of the largest output, ties to the lower
  positive,  // 1 if the one output is above 0, else 0
};

// First columns in an array of counts; -1: that is not counted. Tables are [kinds, experts] each, of the slot
// with the largest weight.
struct CountColumns {
  index_t errors = -1;    // 1: rows with a wrong prediction
  index_t loads = -1;     // [experts]: slots of each
  index_t by_label = -1;  // rows by label and expert
  index_t by_prediction =
      -1;                 // by the class that the expert's output names, or, where it is dropped, the model's
  index_t by_group = -1;  // by group and expert
  index_t experts = 0;
  index_t width = 0;  // of the array
};

// N rows of K slots. What no column asks for may be left out.
struct CountedRows {
  index_t rows = 0;
  const std::int32_t* labels = nullptr;     // [N]
  const std::int32_t* predicted = nullptr;  // [N]
  const std::int32_t* groups = nullptr;     // [N]; null: all of group 0
  index_t slots = 0;
  const std::int32_t* experts = nullptr;  // [N, K]; null: rows have none
  tensor::ConstMatrix log_weights = {};   // [N, K]
  const std::uint8_t* dropped = nullptr;  // [N, K]; null: none
  tensor::RowSource outputs = {};         // [N * K, outputs of an expert]
  NamedClass names = NamedClass::largest;
};

// Counts that the host knows: `count` in each of `columns` columns.
struct KnownCount {
  index_t column = 0;
  index_t columns = 1;
  std::int64_t count = 0;
};

inline constexpr index_t most_known_counts = 5;

// counts += those of the rows, and what is known. Two launches, whatever the number of rows.
void add_counts(device::Context&, const CountedRows& rows, const CountColumns& columns,
                Span<const KnownCount> known, Span<std::int64_t> counts);

}  // namespace switchyard::ops
