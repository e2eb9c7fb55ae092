// The five numbers of a box plot.
#pragma once

#include <vector>

namespace switchyard::report {

struct Quartiles {
  double lower_whisker = 0;  // the smallest value within 1.5 box lengths of the box (Tukey)
  double lower = 0;
  double median = 0;
  double upper = 0;
  double upper_whisker = 0;
};

// Quartiles by linear interpolation between ranks (Hyndman and Fan's type 7, what NumPy and R do unasked).
// `values` is not empty.
Quartiles quartiles(std::vector<double> values);

}  // namespace switchyard::report
