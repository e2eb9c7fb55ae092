// Text to tokens and back, without loss: pairs of bytes merged by frequency (BPE, Sennrich et al. 2016) as
// SentencePiece does it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.hpp"
#include "base/span.hpp"

namespace switchyard::data {

// What a token stands for.
struct Piece {
  enum class Kind : std::uint8_t {
    text,             // characters
    byte,             // one byte, of what is in no piece of text
    unknown,          // nothing: SentencePiece wants one, and no text has it
    end_of_document,  // nothing: it stands behind a document
  };
  Kind kind = Kind::text;
  std::string bytes;  // of the text
};

// Immutable: any number of threads may encode at once.
//
// Text is encoded line by line; a line break belongs to the line that it ends, and a line of more than 4,096
// bytes is cut behind as many whole characters as fit. What is not UTF-8, and the characters that SentencePiece
// keeps for itself (U+2581, U+2585, NUL), are tokens of their bytes. So the bytes of a text's tokens
// are the text, whatever it holds.
class Vocabulary {
 public:
  // The ways in which text was ever cut and trained on: a file of tokens says which.
  static constexpr int rule_version = 1;
  static constexpr index_t smallest_size = 260;  // all bytes, the two without text, and two pieces
  static constexpr index_t largest_size = 1 << 20;
  static constexpr std::int32_t end_of_document = 1;

  // ConfigError for what no text can have.
  static void expect_possible(index_t size);
  // Learns `size` pieces from lines, in their order: the same for the same lines, with one thread on any
  // machine. `next_line` is asked until it has none. Blocking and local. Throws ConfigError for a vocabulary
  // that the lines have too few or too many characters for.
  static Vocabulary train(const std::function<bool(std::string_view& line)>& next_line, index_t size);
  // Of a model() that was stored. Throws DataError for what is none.
  explicit Vocabulary(std::string model);
  ~Vocabulary();
  Vocabulary(Vocabulary&&) noexcept;
  Vocabulary& operator=(Vocabulary&&) noexcept;

  // In SentencePiece's own format, which its other programs load.
  const std::string& model() const { return model_; }
  index_t size() const { return std::ssize(pieces_); }
  const std::vector<Piece>& pieces() const { return pieces_; }

  void encode(std::string_view text, std::vector<std::int32_t>& tokens) const;  // appends
  // Contract: tokens lie in [0, size()).
  std::string decode(Span<const std::int32_t> tokens) const;

 private:
  struct Processor;

  void encode_line(std::string_view line, std::vector<std::int32_t>& tokens) const;

  std::string model_;
  std::unique_ptr<const Processor> processor_;
  std::vector<Piece> pieces_;
  std::int32_t first_byte_ = 0;  // the token of byte 0; the others follow
};

// The line with which `text` begins, its break included.
std::string_view first_line(std::string_view text);

}  // namespace switchyard::data
