#include "data/vocabulary.hpp"

#include <fmt/format.h>
#include <sentencepiece_processor.h>
#include <sentencepiece_trainer.h>

#include <algorithm>
#include <unordered_map>
#include <utility>

#include "base/contract.hpp"
#include "base/error.hpp"
#include "base/utf8.hpp"

namespace switchyard::data {
namespace {

constexpr std::size_t longest_line_bytes = 4096;
constexpr std::string_view space_mark = "\xe2\x96\x81";    // U+2581, SentencePiece's sign of a space
constexpr std::string_view unknown_mark = "\xe2\x96\x85";  // U+2585, of what is unknown

bool is_reserved(std::string_view character) {
  return character == std::string_view("\0", 1) || character == space_mark || character == unknown_mark;
}

// Cuts a line into runs of text that SentencePiece keeps as they are, of at most so many bytes, and the bytes
// between them.
template <class OnText, class OnByte>
void for_each_run(std::string_view line, const OnText& on_text, const OnByte& on_byte) {
  std::size_t begin = 0, at = 0;
  const auto end_run = [&] {
    if (at > begin) on_text(line.substr(begin, at - begin));
    begin = at;
  };
  while (at < line.size()) {
    const std::size_t bytes = character_bytes(line.substr(at));
    if (bytes == 0 || is_reserved(line.substr(at, bytes))) {
      end_run();
      for (const std::size_t end = at + std::max<std::size_t>(bytes, 1); at < end; ++at)
        on_byte(static_cast<unsigned char>(line[at]));
      begin = at;
      continue;
    }
    if (at + bytes - begin > longest_line_bytes) end_run();
    at += bytes;
  }
  end_run();
}

// Runs of lines, one after another: what SentencePiece calls sentences.
class Sentences final : public sentencepiece::SentenceIterator {
 public:
  explicit Sentences(const std::function<bool(std::string_view&)>& next_line) : next_line_(next_line) {
    Next();
  }

  bool done() const override { return runs_.empty(); }
  void Next() override {
    if (!runs_.empty()) runs_.pop_back();
    std::string_view line;
    while (runs_.empty() && next_line_(line)) {
      for_each_run(
          line, [&](std::string_view run) { runs_.emplace_back(run); }, [](unsigned char) {});
      std::ranges::reverse(runs_);
    }
  }
  const std::string& value() const override { return runs_.back(); }
  sentencepiece::util::Status status() const override { return {}; }

 private:
  const std::function<bool(std::string_view&)>& next_line_;
  std::vector<std::string> runs_;  // of a line, the next one last
};

// What SentencePiece says, without its place in SentencePiece's sources and options of its own program.
std::string_view reason_of(const sentencepiece::util::Status& status) {
  std::string_view reason = status.message();
  if (const std::size_t place = reason.rfind("] "); place != std::string_view::npos)
    reason.remove_prefix(place + 2);
  reason = reason.substr(0, reason.find(" Increase vocab_size"));
  if (reason.ends_with('.')) reason.remove_suffix(1);
  return reason.empty() ? "SentencePiece says no more" : reason;
}

// What a piece stands for, from SentencePiece's writing of it.
std::string text_of(std::string_view piece) {
  std::string text;
  for (std::size_t mark = 0; (mark = piece.find(space_mark)) != std::string_view::npos;
       piece.remove_prefix(mark + space_mark.size())) {
    text += piece.substr(0, mark);
    text += ' ';
  }
  return text.append(piece);
}

}  // namespace

struct Vocabulary::Processor {
  sentencepiece::SentencePieceProcessor of_model;
};

void Vocabulary::expect_possible(index_t size) {
  if (size < smallest_size || size > largest_size)
    throw ConfigError(
        fmt::format("a vocabulary of {} (it holds the 256 bytes and more: {} to {}); choose another, "
                    "such as 4096",
                    size, smallest_size, largest_size));
}

Vocabulary Vocabulary::train(const std::function<bool(std::string_view& line)>& next_line, index_t size) {
  expect_possible(size);
  const std::unordered_map<std::string, std::string> settings = {
      {"model_type", "bpe"},
      {"vocab_size", fmt::format("{}", size)},
      // Bytes stand for characters that are rarer than this; without loss all the same.
      {"character_coverage", "0.9995"},
      {"byte_fallback", "true"},
      {"split_digits", "true"},
      // The text as it is: no character changed, no space added or taken away.
      {"normalization_rule_name", "identity"},
      {"remove_extra_whitespaces", "false"},
      {"add_dummy_prefix", "false"},
      {"allow_whitespace_only_pieces", "true"},
      {"unk_id", "0"},
      {"eos_id", fmt::format("{}", end_of_document)},
      {"bos_id", "-1"},
      {"pad_id", "-1"},
      {"max_sentence_length", fmt::format("{}", longest_line_bytes)},
      {"num_threads", "1"},
      {"minloglevel", "3"}};
  Sentences sentences(next_line);
  std::string model;
  const auto status = sentencepiece::SentencePieceTrainer::Train(settings, &sentences, &model);
  if (!status.ok())
    throw ConfigError(fmt::format(
        "a vocabulary of {} cannot be made of this text ({}); choose another number of pieces, or add "
        "text",
        size, reason_of(status)));
  return Vocabulary(std::move(model));
}

Vocabulary::Vocabulary(std::string model) : model_(std::move(model)) {
  auto processor = std::make_unique<Processor>();
  const auto status = processor->of_model.LoadFromSerializedProto(model_);
  if (!status.ok())
    throw DataError(fmt::format("the model of a vocabulary cannot be read ({}); make the file of tokens again",
                                reason_of(status)));
  const int count = processor->of_model.GetPieceSize();
  index_t bytes = 0;
  for (int token = 0; token < count; ++token) {
    if (processor->of_model.IsByte(token)) {
      if (bytes == 0) first_byte_ = token;
      pieces_.push_back({Piece::Kind::byte, std::string(1, static_cast<char>(bytes++))});
    } else if (processor->of_model.IsUnknown(token)) {
      pieces_.push_back({Piece::Kind::unknown, ""});
    } else if (processor->of_model.IsControl(token)) {
      pieces_.push_back({Piece::Kind::end_of_document, ""});
    } else {
      pieces_.push_back({Piece::Kind::text, text_of(processor->of_model.IdToPiece(token))});
    }
  }
  const bool has_end =
      count > end_of_document && pieces_[as_size(end_of_document)].kind == Piece::Kind::end_of_document;
  if (bytes != 256 || !has_end)
    throw DataError(
        fmt::format("the model of a vocabulary is none of ours (it has {} tokens of bytes{}); make the "
                    "file of tokens again",
                    bytes, has_end ? "" : " and none that ends a document"));
  processor_ = std::move(processor);
}

Vocabulary::~Vocabulary() = default;
Vocabulary::Vocabulary(Vocabulary&&) noexcept = default;
Vocabulary& Vocabulary::operator=(Vocabulary&&) noexcept = default;

void Vocabulary::encode(std::string_view text, std::vector<std::int32_t>& tokens) const {
  while (!text.empty()) {
    const std::string_view line = first_line(text);
    encode_line(line, tokens);
    text.remove_prefix(line.size());
  }
}

void Vocabulary::encode_line(std::string_view line, std::vector<std::int32_t>& tokens) const {
  std::vector<int> of_run;
  for_each_run(
      line,
      [&](std::string_view run) {
        const auto status = processor_->of_model.Encode(run, &of_run);
        SY_EXPECTS(status.ok(), "encoding a line: {}", status.message());
        tokens.insert(tokens.end(), of_run.begin(), of_run.end());
      },
      [&](unsigned char byte) { tokens.push_back(first_byte_ + byte); });
}

std::string Vocabulary::decode(Span<const std::int32_t> tokens) const {
  std::string text;
  for (const std::int32_t token : tokens) {
    SY_EXPECTS(token >= 0 && token < size(), "token {} of {}", token, size());
    text += pieces_[as_size(token)].bytes;
  }
  return text;
}

std::string_view first_line(std::string_view text) {
  return text.substr(0, std::min(text.find('\n'), text.size() - 1) + 1);
}

}  // namespace switchyard::data
