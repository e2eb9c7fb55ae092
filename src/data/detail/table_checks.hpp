// What must hold of the arrays of tables before anything is made of them. Each throws DataError, which names
// the array and the row.
#pragma once

#include <string_view>

#include "base/span.hpp"
#include "data/dataset.hpp"
#include "data/detail/table_source.hpp"

namespace switchyard::data::detail {

// Of a sample of that array.
tensor::SampleShape shape_of(const NumberArray& samples);

// OutOfMemory if so many images are more than this host has memory for, where every rank holds them all.
// `because` names the key that gave them their size: "data.prepare = resize:64".
void expect_memory(index_t images, const tensor::SampleShape& shape, std::string_view because);

void expect_one_each(const LabelArray& labels, const NumberArray& samples);
// One for each sample, in [0, most).
Vector<std::int32_t> checked(const LabelArray& labels, const NumberArray& samples, index_t most);
// Where a model is made for the labels, one by mistake makes a giant of it: there are no more classes than
// samples, or not many.
index_t most_classes_of(const Tables& tables, Purpose purpose);

// As many rows as samples, of finite numbers.
void expect_fits(const RealArray& array, const NumberArray& samples);
// One for each sample, none below 0.
void expect_weights(const RealArray& weights, const NumberArray& samples);

// `values` are those of the array from number `first` on.
void expect_finite(const NumberArray& array, index_t first, Span<const float> values);

}  // namespace switchyard::data::detail
