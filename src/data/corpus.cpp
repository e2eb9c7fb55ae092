#include "data/corpus.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <system_error>
#include <tuple>
#include <utility>

#include "base/contract.hpp"
#include "base/error.hpp"
#include "base/hash.hpp"
#include "data/detail/byte_reader.hpp"
#include "data/detail/documents.hpp"
#include "data/detail/repeats.hpp"

namespace switchyard::data {
namespace {

namespace fs = std::filesystem;

// Learning takes some seconds for each MiB, and more text makes the tokens longer by less than 0.3%.
constexpr index_t most_learned_bytes = index_t{4} << 20;
constexpr std::array<std::string_view, 7> endings = {".txt", ".text", ".rst", ".pod", ".md", ".tex", ".asc"};

struct Input {
  std::string domain;
  fs::path path;
};

struct Document {
  Split split;
  std::uint16_t domain;
  std::string text;
};

std::string_view uncompressed(std::string_view name) {
  if (name.ends_with(".gz")) name.remove_suffix(3);
  return name;
}

// Without the ending of a text, compressed or not; as it is, if it has none.
std::string_view stem_of(std::string_view name) {
  const std::string_view stem = uncompressed(name);
  for (const std::string_view ending : endings)
    if (stem.size() > ending.size() && stem.ends_with(ending))
      return stem.substr(0, stem.size() - ending.size());
  return name;
}

bool is_name(std::string_view name) {
  return !name.empty() && std::ranges::none_of(name, [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte < ' ' || byte >= 0x7f;
  });
}

Input input_of(const std::string& word) {
  std::error_code error;
  Input input;
  const std::size_t sign = word.find('=');
  if (sign != std::string::npos && !fs::exists(word, error)) {
    input = {word.substr(0, sign), word.substr(sign + 1)};
  } else {
    input.path = word;
    const fs::path named = input.path.has_filename() ? input.path : input.path.parent_path();  // "texts/"
    input.domain = fs::is_directory(input.path, error) ? named.filename().string()
                                                       : std::string(stem_of(named.filename().string()));
  }
  if (!is_name(input.domain) || input.domain == "." || input.domain == "..")
    throw ConfigError(
        fmt::format("'{}' gives its domain no name of printable ASCII (the file of tokens keeps it); write "
                    "NAME={}",
                    word, input.path.string()));
  return input;
}

std::vector<Input> inputs_of(const std::vector<std::string>& words) {
  if (words.empty())
    throw ConfigError("no text was named (each file or folder is a domain); name one, such as texts/");
  if (std::ssize(words) > detail::most_domains)
    throw ConfigError(
        fmt::format("{} files and folders (each is a domain, of which there may be {}); put those that "
                    "belong together into a folder",
                    words.size(), detail::most_domains));
  std::vector<Input> inputs;
  for (const std::string& word : words) {
    inputs.push_back(input_of(word));
    const auto twice = std::ranges::find(inputs, inputs.back().domain, &Input::domain);
    if (twice != inputs.end() - 1)
      throw ConfigError(fmt::format(
          "{} and {} are both of the domain {} (a file or a folder is one); write "
          "NAME={}",
          twice->path.string(), inputs.back().path.string(), twice->domain, inputs.back().path.string()));
  }
  return inputs;
}

// Below the folder, sorted; nothing that is called `without` or lies below it.
std::vector<std::string> text_files_below(const fs::path& folder, std::string_view without) {
  std::vector<std::string> files;
  std::error_code error;
  fs::recursive_directory_iterator entry(folder, error), end;
  for (; !error && entry != end; entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    std::error_code ignored;
    const bool is_folder = entry->is_directory(ignored);
    if (name.starts_with('.') || name == without) {
      if (is_folder) entry.disable_recursion_pending();
    } else if (!is_folder && stem_of(name).size() < name.size()) {
      files.push_back(entry->path().lexically_relative(folder).generic_string());
    }
  }
  if (error)
    throw DataError(
        fmt::format("{} cannot be read ({}); name a folder of text files", folder.string(), error.message()));
  if (files.empty())
    throw DataError(
        fmt::format("{} holds no text (looked below it for names that end in {}, and .gz behind them); "
                    "name a folder of text files",
                    folder.string(), fmt::join(endings, " ")));
  std::ranges::sort(files, {}, [](const std::string& file) { return std::tuple(uncompressed(file), file); });
  return files;
}

// A path in a line of its own, whatever its bytes.
std::string escaped(std::string_view path) {
  std::string text;
  for (const char c : path) {
    const auto byte = static_cast<unsigned char>(c);
    text += byte <= ' ' || byte >= 0x7f || c == '%' ? fmt::format("%{:02X}", byte) : std::string(1, c);
  }
  return text;
}

class Collection {
 public:
  explicit Collection(std::string without) : without_(std::move(without)) {}

  // All documents of an input.
  void add(const Input& input, std::uint16_t domain) {
    const std::size_t before = documents_.size();
    std::error_code error;
    if (fs::is_directory(input.path, error)) {
      for (const std::string& file : text_files_below(input.path, without_)) {
        const auto text =
            read(input.path / file, fmt::format("{}/{}", input.domain, escaped(uncompressed(file))));
        add(Span(text), domain);
      }
    } else {
      const auto text = read(input.path, escaped(input.domain));
      for (Span<const std::uint8_t> rest(text); !rest.empty();) {
        const index_t bytes = detail::document_bytes(rest);
        add(rest.first(bytes), domain);
        rest = rest.subspan(bytes);
      }
    }
    if (documents_.size() == before)
      throw DataError(
          fmt::format("{} adds no text (it is empty, or all in it is in what was named before it); leave "
                      "it out",
                      input.path.string()));
  }

  // In the order of a corpus: they came domain by domain.
  std::vector<Document> take() {
    std::vector<Document> in_order;
    for (const Split split : {Split::train, Split::validation, Split::test}) {
      for (Document& document : documents_)
        if (document.split == split) in_order.push_back(std::move(document));
    }
    return in_order;
  }

  const std::string& inputs() const { return inputs_; }
  index_t dropped_bytes() const { return repeats_.dropped_bytes(); }

 private:
  std::vector<std::uint8_t> read(const fs::path& file, const std::string& name) {
    std::vector<std::uint8_t> text;
    detail::ByteReader(file).append_to(text, text.max_size());
    ContentHash hash;
    hash.add(std::as_bytes(Span(text)));
    inputs_ += fmt::format("{} {} {}\n", hash.hex(), text.size(), name);
    return text;
  }

  void add(Span<const std::uint8_t> document, std::uint16_t domain) {
    if (document.empty()) return;
    std::string text =
        repeats_.first_occurrences_in({reinterpret_cast<const char*>(document.data()), document.size()});
    if (!text.empty()) documents_.push_back({detail::split_of(document), domain, std::move(text)});
  }

  std::string without_;
  detail::Repeats repeats_;
  std::string inputs_;
  std::vector<Document> documents_;
};

// Every nth line of the training documents, from the first on.
class LearnedLines {
 public:
  explicit LearnedLines(Span<const Document> documents) : documents_(documents) {
    for (const Document& document : documents)
      if (document.split == Split::train) bytes_ += std::ssize(document.text);
    every_ = std::max<index_t>(1, (bytes_ + most_learned_bytes - 1) / most_learned_bytes);
  }

  index_t every() const { return every_; }
  index_t given_bytes() const { return given_bytes_; }

  bool next(std::string_view& line) {
    for (; at_ < documents_.size(); ++at_, done_ = 0) {
      const Document& document = documents_[at_];
      if (document.split != Split::train) continue;
      while (done_ < document.text.size()) {
        line = first_line(std::string_view(document.text).substr(done_));
        done_ += line.size();
        if (lines_++ % every_ != 0) continue;
        given_bytes_ += std::ssize(line);
        return true;
      }
    }
    return false;
  }

 private:
  Span<const Document> documents_;
  index_t bytes_ = 0, every_ = 1, lines_ = 0, given_bytes_ = 0;
  std::size_t at_ = 0, done_ = 0;  // the document, and how much of it was taken
};

void expect_training(Span<const Document> documents) {
  if (std::ranges::any_of(documents, [](const Document& d) { return d.split == Split::train; })) return;
  throw DataError(
      fmt::format("no document of the {} is for training (a hash of their bytes gives a tenth to each of "
                  "test and validation); add text",
                  documents.size()));
}

using Say = std::function<void(const std::string&)>;

Vocabulary learn(Span<const Document> documents, index_t size, const Say& say, index_t& sample_every) {
  expect_training(documents);
  LearnedLines lines(documents);
  sample_every = lines.every();
  say(fmt::format("learning {} pieces from 1 line in {}", size, sample_every));
  return Vocabulary::train([&](std::string_view& line) { return lines.next(line); }, size);
}

}  // namespace

void TokenArray::append(Span<const std::int32_t> tokens) {
  for (const std::int32_t token : tokens) {
    if (is_wide_) {
      wide_.push_back(static_cast<std::uint32_t>(token));
    } else {
      narrow_.push_back(static_cast<std::uint16_t>(token));
    }
  }
}

void TokenArray::resize(index_t count) {
  if (is_wide_) {
    wide_.resize(count);
  } else {
    narrow_.resize(count);
  }
}

void TokenArray::copy(IndexRange range, std::int32_t* to) const {
  SY_EXPECTS(0 <= range.begin && range.end <= size(), "tokens {} to {} of {}", range.begin, range.end, size());
  if (is_wide_) {
    std::transform(wide_.begin() + range.begin, wide_.begin() + range.end, to,
                   [](std::uint32_t token) { return static_cast<std::int32_t>(token); });
  } else {
    std::copy(narrow_.begin() + range.begin, narrow_.begin() + range.end, to);
  }
}

Span<std::byte> TokenArray::bytes() {
  return is_wide_ ? std::as_writable_bytes(Span(wide_)) : std::as_writable_bytes(Span(narrow_));
}

std::array<std::vector<CorpusCount>, 3> Corpus::counts() const {
  std::array<std::vector<CorpusCount>, 3> counts;
  for (auto& of_split : counts) of_split.resize(domains.size());
  for (index_t d = 0; d < documents(); ++d) {
    CorpusCount& count = counts[document_split[as_size(d)]][document_domain[as_size(d)]];
    ++count.documents;
    const IndexRange range = tokens_of(d);
    count.tokens += range.size();
    for (index_t at = range.begin; at < range.end; ++at)
      count.bytes += std::ssize(vocabulary.pieces()[as_size(tokens[at])].bytes);
  }
  return counts;
}

Corpus make_corpus(const CorpusOptions& options, const std::function<void(const std::string&)>& say) {
  if (!options.model) Vocabulary::expect_possible(options.vocabulary);
  const std::vector<Input> inputs = inputs_of(options.inputs);
  Collection collection(options.without);
  for (std::size_t domain = 0; domain < inputs.size(); ++domain) {
    say(fmt::format("reading {}", inputs[domain].path.string()));
    collection.add(inputs[domain], static_cast<std::uint16_t>(domain));
  }
  const std::vector<Document> documents = collection.take();
  index_t sample_every = 0;
  Corpus corpus(options.model ? Vocabulary(*options.model)
                              : learn(documents, options.vocabulary, say, sample_every));
  for (const Input& input : inputs) corpus.domains.push_back(input.domain);
  corpus.inputs = collection.inputs();
  corpus.sample_every = sample_every;
  corpus.dropped_bytes = collection.dropped_bytes();

  say(fmt::format("encoding {} documents", documents.size()));
  std::vector<std::int32_t> tokens;
  for (const Document& document : documents) {
    corpus.document_begin.push_back(corpus.tokens.size());
    corpus.document_domain.push_back(document.domain);
    corpus.document_split.push_back(static_cast<std::uint8_t>(document.split));
    tokens.clear();
    corpus.vocabulary.encode(document.text, tokens);
    tokens.push_back(Vocabulary::end_of_document);
    corpus.tokens.append(tokens);
  }
  corpus.document_begin.push_back(corpus.tokens.size());
  return corpus;
}

}  // namespace switchyard::data
