// Text files as documents of tokens, with the vocabulary that was learned from them: what `switchyard corpus`
// writes and data.source = tokens reads.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.hpp"
#include "base/partition.hpp"
#include "base/span.hpp"
#include "checkpoint/checkpoint.hpp"
#include "data/dataset.hpp"
#include "data/vocabulary.hpp"

namespace switchyard::data {

// Tokens in as few bytes as their vocabulary needs: two up to 65,536 of them, else four.
class TokenArray {
 public:
  explicit TokenArray(index_t vocabulary) : is_wide_(vocabulary > 65536) {}

  index_t size() const { return is_wide_ ? std::ssize(wide_) : std::ssize(narrow_); }
  std::int32_t operator[](index_t at) const {
    return is_wide_ ? static_cast<std::int32_t>(wide_[at]) : narrow_[at];
  }
  void append(Span<const std::int32_t> tokens);
  void resize(index_t count);
  // Those in `range`, as numbers.
  void copy(IndexRange range, std::int32_t* to) const;

  // As they lie in memory and in a file.
  checkpoint::DType dtype() const { return is_wide_ ? checkpoint::DType::uint32 : checkpoint::DType::uint16; }
  Span<std::byte> bytes();
  Span<const std::byte> bytes() const { return const_cast<TokenArray*>(this)->bytes(); }

 private:
  bool is_wide_;
  Vector<std::uint16_t> narrow_;
  Vector<std::uint32_t> wide_;
};

// What there is of a domain in a split.
struct CorpusCount {
  index_t documents = 0;
  index_t bytes = 0;   // of text
  index_t tokens = 0;  // one that ends each document included
};

// Documents lie by split, then by domain, then in the order of their files; each ends with the token
// Vocabulary::end_of_document. So those of one domain and split are one run of tokens.
struct Corpus {
  explicit Corpus(Vocabulary learned) : vocabulary(std::move(learned)), tokens(vocabulary.size()) {}

  Vocabulary vocabulary;
  std::vector<std::string> domains;
  TokenArray tokens;
  std::vector<std::int64_t> document_begin;    // in tokens; one more than there are documents
  std::vector<std::uint16_t> document_domain;  // of each document
  std::vector<std::uint8_t> document_split;
  std::string inputs;         // a line for each file that was read: digest of its text, bytes, domain/path
  index_t sample_every = 1;   // the vocabulary was learned from every so manieth line; 0: from none
  index_t dropped_bytes = 0;  // of what repeats

  index_t documents() const { return std::ssize(document_domain); }
  IndexRange tokens_of(index_t document) const {
    return {document_begin[as_size(document)], document_begin[as_size(document) + 1]};
  }
  // By split, then domain.
  std::array<std::vector<CorpusCount>, 3> counts() const;
};

struct CorpusOptions {
  std::vector<std::string> inputs;  // PATH or NAME=PATH, each a domain
  std::string without;              // what has this name below a folder is passed over
  index_t vocabulary = 4096;
  // In place of one that is learned.
  std::optional<std::string> model = {};  // of a Vocabulary
};

// Reads the inputs and learns a vocabulary from them, or takes one that there is.
//
// A file is a domain of its name without .gz and the ending of text; it is cut into documents as data.source =
// text cuts it. A folder is a domain of its name; each text file below it (.txt .text .rst .pod .md .tex .asc,
// or such a name and .gz; no hidden ones, no links to folders), in the order of paths, is a document. A
// document's split follows from its bytes. Documents and paragraphs that occurred are dropped
// (detail/repeats.hpp). The vocabulary is learned from every nth line of the training documents, where n is the
// smallest that leaves no more than 4 MiB of them if lines were all alike.
//
// The result depends on the content and the order of inputs alone. `say` hears a sentence about each stage.
// Local, one thread, minutes for 50 MB. Throws DataError for what cannot be read, holds no text, or nothing
// that the inputs before it do not hold; ConfigError for a vocabulary that the text cannot have and two domains
// of one name.
Corpus make_corpus(const CorpusOptions& options, const std::function<void(const std::string&)>& say);

// Whole or not at all, in place of what has this name. Throws DataError.
void write_corpus(const std::filesystem::path& file, const Corpus& corpus);
// Throws DataError for what is no such file, or damaged.
Corpus read_corpus(const std::filesystem::path& file);
// Of such a file, without its text.
Vocabulary read_vocabulary(const std::filesystem::path& file);

}  // namespace switchyard::data
