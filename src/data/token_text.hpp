// What tokens are of a text: its bytes, or pieces of a vocabulary.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "data/vocabulary.hpp"

namespace switchyard::data {

// Immutable: any number of threads may use it at once.
class TokenText {
 public:
  TokenText() = default;  // bytes
  explicit TokenText(Vocabulary vocabulary) : vocabulary_(std::move(vocabulary)) {}

  index_t size() const { return vocabulary_ ? vocabulary_->size() : 256; }
  std::vector<std::int32_t> encode(std::string_view text) const;
  // Contract: the token lies in [0, size()).
  std::string decode(std::int32_t token) const;
  // Behind a document, where a token says that it ends.
  std::optional<std::int32_t> end_of_document() const;

 private:
  std::optional<Vocabulary> vocabulary_;
};

}  // namespace switchyard::data
