// y_i = cos(x, e_i) / temperature: scores of unit vectors, which no length makes decided.
#pragma once

#include <memory>

#include "nn/layer.hpp"

namespace switchyard::nn {

// weight is [out, in], a vector of each output; log_scale [1] begins at 0, and the temperature that is learned
// is e^-log_scale times the one given. In float32 whatever the precision of products is: its rows are short.
struct CosineShape {
  index_t in = 0;
  index_t out = 0;
  double temperature = 1;

  std::unique_ptr<Layer> make(LayerNames& names, const NetworkOptions& options) const;
};

}  // namespace switchyard::nn
