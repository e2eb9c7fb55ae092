// Images that a launch takes in several rows.
#pragma once

#include "base/partition.hpp"
#include "ops/kernels/pack.hpp"

namespace switchyard::ops::kernels {

// Row i of a launch that has `parts` rows for each image: part `column` of image `row` of those taken.
struct ImagePart : GridPlace {
  SY_HD ImagePart(index_t i, index_t parts_in) : GridPlace(i, parts_in), parts(parts_in) {}

  // Which of an image's items it has.
  SY_HD IndexRange of(index_t items) const {
    if (parts == 1) return {0, items};
    return {items * column / parts, items * (column + 1) / parts};
  }

  index_t parts;
};

}  // namespace switchyard::ops::kernels
