// The documents of a file of tokens as a source of windows.
#include <fmt/format.h>

#include <array>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/error.hpp"
#include "base/hash.hpp"
#include "base/span.hpp"
#include "config/require.hpp"
#include "data/corpus.hpp"
#include "data/detail/window_source.hpp"

namespace switchyard::data::detail {
namespace {

// Windows are cut, one behind the other, from all documents of a domain and split, or from each; what is left
// behind the last one is no sample. Holds the tokens once, and where each window begins.
class TokenSource final : public WindowSource {
 public:
  TokenSource(Corpus corpus, const Options& options)
      : WindowSource(options.window), corpus_(std::move(corpus)) {
    for (const Split split : {Split::train, Split::validation, Split::test}) {
      for (std::size_t domain = 0; domain < corpus_.domains.size(); ++domain) cut(split, domain, options.pack);
    }
    end_windows(options.evaluation_samples);
    for (const Split split : {Split::train, Split::validation, Split::test}) count_target_bytes(split);
  }

  index_t class_count() const override { return corpus_.vocabulary.size(); }
  index_t group_count() const override { return std::ssize(corpus_.domains); }
  std::vector<std::string> group_names() const override { return corpus_.domains; }

  std::string_view token_name() const override { return "token"; }
  std::int32_t end_of_document() const override { return Vocabulary::end_of_document; }
  std::string_view vocabulary_model() const override { return corpus_.vocabulary.model(); }
  double bytes_per_token(Split split) const override {
    const index_t tokens = size(split) * window();
    return tokens > 0 ? static_cast<double>(target_bytes_[as_size(split)]) / static_cast<double>(tokens) : 0;
  }
  void fill_tokens(Split split, Span<const index_t> samples, Span<std::int32_t> tokens,
                   Span<std::int32_t> targets) const override {
    for (std::size_t i = 0; i < samples.size(); ++i) {
      const index_t from = of(split).starts[samples[i]];
      const index_t to = static_cast<index_t>(i) * window();
      corpus_.tokens.copy({from, from + window()}, tokens.data() + to);
      corpus_.tokens.copy({from + 1, from + 1 + window()}, targets.data() + to);
    }
  }

  void add_content(ContentHash& hash) const override {
    const auto add = [&](Span<const std::byte> bytes) {  // lengths first, as in text_source.cpp
      const std::array size{bytes.size()};
      hash.add(std::as_bytes(Span(size)));
      hash.add(bytes);
    };
    for (const std::string& domain : corpus_.domains) add(std::as_bytes(Span(domain)));
    for (const Piece& piece : corpus_.vocabulary.pieces()) add(std::as_bytes(Span(piece.bytes)));
    add(std::as_bytes(Span(corpus_.document_begin)));
    add(std::as_bytes(Span(corpus_.document_domain)));
    add(std::as_bytes(Span(corpus_.document_split)));
    add(corpus_.tokens.bytes());
  }

 private:
  // All windows of that domain, behind those of the domains before it. Its documents are one run.
  void cut(Split split, std::size_t domain, bool pack) {
    const std::pair key{as_size(split), domain};
    const auto key_of = [&](index_t d) {
      return std::pair<std::size_t, std::size_t>{corpus_.document_split[as_size(d)],
                                                 corpus_.document_domain[as_size(d)]};
    };
    const index_t first = next_document_;
    while (next_document_ < corpus_.documents() && key_of(next_document_) == key) ++next_document_;
    count_documents(split, next_document_ - first);
    if (pack && next_document_ > first) {
      begin_windows(split, {corpus_.tokens_of(first).begin, corpus_.tokens_of(next_document_ - 1).end});
    } else {
      for (index_t d = first; d < next_document_; ++d) begin_windows(split, corpus_.tokens_of(d));
    }
    end_domain(split);
  }

  void count_target_bytes(Split split) {
    const std::vector<Piece>& pieces = corpus_.vocabulary.pieces();
    for (const index_t start : of(split).starts) {
      for (index_t target = start + 1; target <= start + window(); ++target)
        target_bytes_[as_size(split)] += std::ssize(pieces[as_size(corpus_.tokens[target])].bytes);
    }
  }

  Corpus corpus_;
  std::array<index_t, 3> target_bytes_{};  // by Split: of the text that the targets of all windows are
  index_t next_document_ = 0;              // of those that are cut
};

void expect_sample(const TokenSource& source, const Options& options, Split split) {
  if (source.size(split) > 0) return;
  const std::string what =
      fmt::format("{} has no {} sample (its documents are {} for training, {} for validation and {} for test",
                  options.file, split == Split::train ? "training" : "test", source.documents(Split::train),
                  source.documents(Split::validation), source.documents(Split::test));
  if (source.documents(split) > 0)
    throw ConfigError(fmt::format(
        "{}, and a sample takes {} tokens of {}); lower the window (data.window, or transformer.window), or make the file of "
        "more text",
        what, options.window + 1, options.pack ? "those of a domain" : "a document"));
  throw ConfigError(
      fmt::format("{}, and a hash of their bytes gives a tenth to each of the last two); make the file "
                  "of more text, until there are 50 documents or so",
                  what));
}

std::unique_ptr<const SampleSource> make(const Options& options, std::uint64_t /*seed*/) {
  auto source = std::make_unique<TokenSource>(read_corpus(options.file), options);
  for (const Split split : {Split::train, Split::test}) expect_sample(*source, options, split);
  return source;
}

void validate_tokens(const Options& options) {
  config::require(
      options.validation_samples == config::automatic_count,
      "data.validation_samples = {} with data.source = tokens (the file says which documents are for "
      "validation); remove it",
      options.validation_samples);
}

}  // namespace

SourceKind token_source() {
  return {.reads_files = true,
          .reads_one_file = true,
          .has_pixels = false,
          .has_tokens = true,
          .describe = [](const Options& options) { return "tokens of " + options.file; },
          .make = make,
          .validate = validate_tokens};
}

}  // namespace switchyard::data::detail
