#include "data/token_text.hpp"

namespace switchyard::data {

std::vector<std::int32_t> TokenText::encode(std::string_view text) const {
  std::vector<std::int32_t> tokens;
  if (vocabulary_) {
    vocabulary_->encode(text, tokens);
  } else {
    for (const char byte : text) tokens.push_back(static_cast<unsigned char>(byte));
  }
  return tokens;
}

std::string TokenText::decode(std::int32_t token) const {
  return vocabulary_ ? vocabulary_->decode({&token, 1}) : std::string(1, static_cast<char>(token));
}

std::optional<std::int32_t> TokenText::end_of_document() const {
  return vocabulary_ ? std::optional(Vocabulary::end_of_document) : std::nullopt;
}

}  // namespace switchyard::data
