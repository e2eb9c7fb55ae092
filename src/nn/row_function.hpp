// y = f(x), row by row.
#pragma once

#include <memory>

#include "nn/layer.hpp"

namespace switchyard::nn {

struct RowFunctionShape {
  enum class Kind {
    relu,  // where what stands before it is looked at too; elsewhere a dense layer applies its ReLU itself
    log_softmax,  // behind an expert whose outputs are a distribution's logarithms (reference V1)
    swiglu,       // of rows of twice as many features (ops/glu.hpp)
  };
  Kind kind;
  index_t features;

  std::unique_ptr<Layer> make(LayerNames&, const NetworkOptions&) const;
};

}  // namespace switchyard::nn
