// What a part of a model costs, said before it has memory.
#pragma once

#include "base/ids.hpp"

namespace switchyard::nn {

// Each module has it beside its options; the model's is their sum (model/outline.hpp). `plan` prints it,
// `bench` compares it with what was counted.
struct Cost {
  index_t parameters = 0;
  index_t active_parameters = 0;  // that a row meets
  // Of a row, as they are done: products and convolutions, not norms, activations and sums. In a training step
  // also the gradients, and what is computed again for them.
  index_t multiply_adds = 0;
  index_t training_multiply_adds = 0;

  // The workspace of a training step, in floats: of a row; of a shard's partial sums, which a tree of gradients
  // has several of (GradientTree); beside them for each shard; and for each thread.
  double row_floats = 0;
  double partial_floats = 0;
  double shard_floats = 0;
  double thread_floats = 0;
  // With several ranks: for each row of the global batch, to gather it for a gradient; and for each row of the
  // rank, were all its experts elsewhere.
  double gathered_floats = 0;
  double remote_floats = 0;

  Cost& operator+=(const Cost& more) {
    parameters += more.parameters;
    active_parameters += more.active_parameters;
    multiply_adds += more.multiply_adds;
    training_multiply_adds += more.training_multiply_adds;
    row_floats += more.row_floats;
    partial_floats += more.partial_floats;
    shard_floats += more.shard_floats;
    thread_floats += more.thread_floats;
    gathered_floats += more.gathered_floats;
    remote_floats += more.remote_floats;
    return *this;
  }
  // Of a row that is `rows` rows to the part.
  Cost for_each_of(index_t rows) const {
    Cost all = *this;
    all.multiply_adds *= rows;
    all.training_multiply_adds *= rows;
    for (double* floats : {&all.row_floats, &all.gathered_floats, &all.remote_floats})
      *floats *= static_cast<double>(rows);
    return all;
  }
};

}  // namespace switchyard::nn
