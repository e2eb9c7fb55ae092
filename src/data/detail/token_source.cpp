// The documents of a file of tokens as a source of windows.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/contract.hpp"
#include "base/error.hpp"
#include "base/hash.hpp"
#include "base/span.hpp"
#include "config/require.hpp"
#include "data/corpus.hpp"
#include "data/detail/source.hpp"

namespace switchyard::data::detail {
namespace {

// A sample is a window of tokens and, as targets, the token that follows each of its own. Windows are cut, one
// behind the other, from all documents of a domain and split, or from each; what is left behind the last one is
// no sample. Groups are domains. Holds the tokens once, and where each window begins.
class TokenSource final : public SampleSource {
 public:
  TokenSource(Corpus corpus, index_t window, bool pack) : corpus_(std::move(corpus)), shape_{1, 1, window} {
    for (std::size_t split = 0; split < windows_.size(); ++split) {
      for (std::size_t domain = 0; domain < corpus_.domains.size(); ++domain) cut(split, domain, pack);
      windows_[split].starts.shrink_to_fit();
    }
  }

  const tensor::SampleShape& shape() const override { return shape_; }
  index_t class_count() const override { return corpus_.vocabulary.size(); }
  index_t size(Split split) const override { return std::ssize(of(split).starts); }
  index_t documents(Split split) const { return of(split).documents; }
  index_t group_count() const override { return std::ssize(corpus_.domains); }
  std::vector<std::string> group_names() const override { return corpus_.domains; }

  index_t window() const override { return shape_.width; }
  std::string_view token_name() const override { return "token"; }
  std::int32_t end_of_document() const override { return Vocabulary::end_of_document; }
  std::string_view vocabulary_model() const override { return corpus_.vocabulary.model(); }
  double bytes_per_token(Split split) const override {
    const index_t tokens = size(split) * window();
    return tokens > 0 ? static_cast<double>(of(split).target_bytes) / static_cast<double>(tokens) : 0;
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

  void fill(const Request& request, tensor::Matrix) const override {
    SY_EXPECTS(false, "{} samples of tokens as rows of floats", request.samples.size());
  }
  std::int32_t label(Split, index_t sample) const override {
    SY_EXPECTS(false, "the label of sample {} of tokens", sample);
    return 0;
  }
  std::int32_t group(Split split, index_t sample) const override {
    const Vector<index_t>& ends = of(split).domain_ends;
    return static_cast<std::int32_t>(std::ranges::upper_bound(ends, sample) - ends.begin());
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
  struct Windows {
    Vector<index_t> starts;       // in the tokens
    Vector<index_t> domain_ends;  // how many windows the domains up to this one have
    index_t documents = 0;
    index_t target_bytes = 0;  // of the text that the targets of all windows are
  };

  // All windows of that domain, behind those of the domains before it. Its documents are one run.
  void cut(std::size_t split, std::size_t domain, bool pack) {
    Windows& windows = windows_[split];
    const std::pair key{split, domain};
    const auto key_of = [&](index_t d) {
      return std::pair<std::size_t, std::size_t>{corpus_.document_split[as_size(d)],
                                                 corpus_.document_domain[as_size(d)]};
    };
    const index_t first = next_document_;
    while (next_document_ < corpus_.documents() && key_of(next_document_) == key) ++next_document_;
    windows.documents += next_document_ - first;
    if (pack && next_document_ > first) {
      cut({corpus_.tokens_of(first).begin, corpus_.tokens_of(next_document_ - 1).end}, windows);
    } else {
      for (index_t d = first; d < next_document_; ++d) cut(corpus_.tokens_of(d), windows);
    }
    windows.domain_ends.push_back(std::ssize(windows.starts));
  }

  void cut(IndexRange tokens, Windows& windows) {
    for (index_t at = tokens.begin; at + window() < tokens.end; at += window()) {
      windows.starts.push_back(at);
      for (index_t target = at + 1; target <= at + window(); ++target)
        windows.target_bytes += std::ssize(corpus_.vocabulary.pieces()[as_size(corpus_.tokens[target])].bytes);
    }
  }

  const Windows& of(Split split) const { return windows_[as_size(split)]; }

  Corpus corpus_;
  tensor::SampleShape shape_;
  std::array<Windows, 3> windows_;  // by Split
  index_t next_document_ = 0;       // of those that are cut
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
  auto source = std::make_unique<TokenSource>(read_corpus(options.file), options.window, options.pack);
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
