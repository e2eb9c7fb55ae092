// A model of tokens as what reads a text and says what may follow.
#pragma once

#include <cstdint>
#include <vector>

#include "device/transfer.hpp"
#include "model/token_model.hpp"
#include "nn/past.hpp"

namespace switchyard::model {

// Keeps what attention needs of the tokens that it has read, so that one more costs one row. The sequence lies
// on one rank; experts are where they are, as in an evaluation, whose bits the scores have: a product of fewer
// than 16 rows would be summed otherwise (tests/conformance/ops/matmul_rows_test.cpp), so that the last row is
// there as often as that takes.
class TokenReader {
 public:
  // window: the model's; end: the token that ends a document, or -1. The model must outlive this object.
  TokenReader(TokenModel& model, comm::Resources resources, index_t window, std::int32_t end = -1)
      : model_(&model), resources_(resources), end_(end), past_(window, resources.context.memory()) {}

  // The scores of each token as the one that follows these, 1 to `window` of them: [V] on the rank that holds
  // the sequence, none on the others; until the next call. Tokens that it read the last time in their places
  // are not read again. Collective, with the same tokens on all ranks.
  Span<const float> scores(Span<const std::int32_t> tokens);
  index_t window() const { return past_.window(); }

 private:
  // The `count` behind those of past_.
  Span<const float> read(index_t count);

  TokenModel* model_;
  comm::Resources resources_;
  std::int32_t end_;
  nn::Past past_;
  std::vector<std::int32_t> known_;           // tokens of past_, and those that it is to have
  std::vector<std::int32_t> document_begin_;  // of each the place where its document does
  nn::BatchTiles tiles_;
  device::Upload upload_;
  PhaseClock clock_;
};

}  // namespace switchyard::model
