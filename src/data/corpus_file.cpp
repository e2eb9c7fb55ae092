// The file of a corpus: its arrays, in the format of a checkpoint (docs/language_models.md lists them).
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/error.hpp"
#include "checkpoint/checkpoint.hpp"
#include "data/corpus.hpp"
#include "data/detail/documents.hpp"
#include "files/regular_file.hpp"

namespace switchyard::data {
namespace {

namespace fs = std::filesystem;
using checkpoint::DType;
using checkpoint::Slice;

constexpr std::array<const char*, 3> split_names = {"train", "validation", "test"};  // in the order of Split

template <class T>
constexpr DType dtype_of() {
  if constexpr (std::is_same_v<T, std::int64_t>) return DType::int64;
  if constexpr (std::is_same_v<T, std::uint16_t>) return DType::uint16;
  if constexpr (std::is_same_v<T, std::uint8_t>) return DType::uint8;
}

Slice slice_of(std::string path, DType type, index_t count, std::byte* data) {
  return {std::move(path), type, {count}, {0, count}, data};
}

template <class T>
Slice slice_of(std::string path, std::vector<T>& values) {
  return slice_of(std::move(path), dtype_of<T>(), std::ssize(values),
                  reinterpret_cast<std::byte*>(values.data()));
}

// The pieces of a vocabulary as arrays, for readers that have no SentencePiece.
struct PieceArrays {
  std::vector<std::int64_t> begin{0};
  std::vector<std::uint8_t> bytes, kind;

  explicit PieceArrays(const std::vector<Piece>& pieces) {
    for (const Piece& piece : pieces) {
      bytes.insert(bytes.end(), piece.bytes.begin(), piece.bytes.end());
      begin.push_back(std::ssize(bytes));
      kind.push_back(static_cast<std::uint8_t>(piece.kind));
    }
  }
};

[[noreturn]] void fail(const fs::path& file, const std::string& reason) {
  throw DataError(
      fmt::format("{} is not as `switchyard corpus` writes it ({}); make it again", file.string(), reason));
}

// Of one dimension.
index_t length_of(const checkpoint::Reader& reader, const fs::path& file, const std::string& path) {
  const std::vector<Slice> arrays = reader.arrays();
  const auto found = std::ranges::find(arrays, path, &Slice::path);
  if (found == arrays.end() || found->shape.size() != 1)
    fail(file, fmt::format("it has no array {} of one dimension", path));
  return found->shape[0];
}

template <class T>
std::vector<T> read_array(const checkpoint::Reader& reader, const fs::path& file, const std::string& path) {
  std::vector<T> values(as_size(length_of(reader, file, path)));
  reader.read(slice_of(path, values));
  return values;
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    lines.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return lines;
}

// What make_corpus() promises of them, and what a reader of them rests on.
void expect_documents(const fs::path& file, const Corpus& corpus) {
  const std::vector<std::int64_t>& begin = corpus.document_begin;
  const index_t documents = corpus.documents();
  if (documents == 0 || std::ssize(begin) != documents + 1 || std::ssize(corpus.document_split) != documents)
    fail(file, fmt::format("it has {} begins, {} domains and {} splits of documents", begin.size(), documents,
                           corpus.document_split.size()));
  if (begin.front() != 0 || begin.back() != corpus.tokens.size())
    fail(file, fmt::format("its documents take tokens {} to {} of {}", begin.front(), begin.back(),
                           corpus.tokens.size()));
  std::pair<int, int> last{0, 0};
  for (index_t d = 0; d < documents; ++d) {
    const auto i = as_size(d);
    if (begin[i + 1] <= begin[i] || begin[i + 1] > corpus.tokens.size() ||
        corpus.tokens[begin[i + 1] - 1] != Vocabulary::end_of_document)
      fail(file,
           fmt::format("document {} takes tokens {} to {}, and does not end there", d, begin[i], begin[i + 1]));
    const std::pair<int, int> now{corpus.document_split[i], corpus.document_domain[i]};
    if (now < last || now.first > 2 || now.second >= std::ssize(corpus.domains))
      fail(file, fmt::format("document {} is of split {} and domain {}, behind {} and {}", d, now.first,
                             now.second, last.first, last.second));
    last = now;
  }
  for (index_t t = 0; t < corpus.tokens.size(); ++t)
    if (corpus.tokens[t] < 0 || corpus.tokens[t] >= corpus.vocabulary.size())
      fail(file,
           fmt::format("token {} is {} of a vocabulary of {}", t, corpus.tokens[t], corpus.vocabulary.size()));
}

}  // namespace

void write_corpus(const fs::path& file, const Corpus& corpus) {
  checkpoint::Header header;
  header.integers = {{"rule_version", Vocabulary::rule_version},
                     {"vocabulary", corpus.vocabulary.size()},
                     {"end_of_document", Vocabulary::end_of_document},
                     {"learned_from_every", corpus.sample_every}};
  const auto counts = corpus.counts();
  for (std::size_t split = 0; split < counts.size(); ++split) {
    CorpusCount whole;
    for (const CorpusCount& count : counts[split]) {
      whole.bytes += count.bytes;
      whole.tokens += count.tokens;
    }
    header.integers[fmt::format("bytes/{}", split_names[split])] = whole.bytes;
    header.integers[fmt::format("token_counts/{}", split_names[split])] = whole.tokens;
  }
  header.texts = {{"domains", fmt::format("{}\n", fmt::join(corpus.domains, "\n"))}, {"inputs", corpus.inputs}};

  // What is written is only read, but a slice can be either.
  Corpus& all = const_cast<Corpus&>(corpus);
  PieceArrays pieces(corpus.vocabulary.pieces());
  std::vector<std::uint8_t> model(corpus.vocabulary.model().begin(), corpus.vocabulary.model().end());
  const std::vector<Slice> arrays = {
      slice_of("document_begin", all.document_begin),
      slice_of("document_domain", all.document_domain),
      slice_of("document_split", all.document_split),
      slice_of("model", model),
      slice_of("pieces/begin", pieces.begin),
      slice_of("pieces/bytes", pieces.bytes),
      slice_of("pieces/kind", pieces.kind),
      slice_of("tokens", corpus.tokens.dtype(), corpus.tokens.size(), all.tokens.bytes().data())};
  checkpoint::write_arrays(file, header, arrays, checkpoint::tokens_mark);
}

namespace {

Vocabulary vocabulary_in(const checkpoint::Reader& reader, const fs::path& file) {
  if (const std::int64_t rule = reader.integer("rule_version"); rule != Vocabulary::rule_version)
    throw DataError(
        fmt::format("{} was made by rule {} of cutting text into tokens, this program knows rule {}; make "
                    "it again",
                    file.string(), rule, Vocabulary::rule_version));
  const auto model = read_array<std::uint8_t>(reader, file, "model");
  return Vocabulary(std::string(model.begin(), model.end()));
}

}  // namespace

Vocabulary read_vocabulary(const fs::path& file) {
  return vocabulary_in(checkpoint::Reader(file, checkpoint::tokens_mark), file);
}

Corpus read_corpus(const fs::path& file) {
  const checkpoint::Reader reader(file, checkpoint::tokens_mark);
  Corpus corpus(vocabulary_in(reader, file));
  corpus.domains = lines_of(reader.text("domains"));
  if (corpus.domains.empty() || std::ssize(corpus.domains) > detail::most_domains)
    fail(file, fmt::format("it has {} domains", corpus.domains.size()));
  corpus.inputs = reader.text("inputs");
  corpus.sample_every = reader.integer("learned_from_every");
  corpus.document_begin = read_array<std::int64_t>(reader, file, "document_begin");
  corpus.document_domain = read_array<std::uint16_t>(reader, file, "document_domain");
  corpus.document_split = read_array<std::uint8_t>(reader, file, "document_split");
  corpus.tokens.resize(length_of(reader, file, "tokens"));
  reader.read(slice_of("tokens", corpus.tokens.dtype(), corpus.tokens.size(), corpus.tokens.bytes().data()));
  expect_documents(file, corpus);
  return corpus;
}

}  // namespace switchyard::data
