// Text files as a source of windows of bytes.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <tuple>
#include <utility>
#include <vector>

#include "base/contract.hpp"
#include "base/error.hpp"
#include "base/hash.hpp"
#include "base/span.hpp"
#include "config/require.hpp"
#include "data/detail/byte_reader.hpp"
#include "data/detail/documents.hpp"
#include "data/detail/source.hpp"

namespace switchyard::data::detail {
namespace {

namespace fs = std::filesystem;

struct TextFile {
  std::string domain;
  fs::path path;
};

// Nothing: no file of ours has that name.
std::optional<std::string> domain_of(std::string_view name) {
  constexpr std::string_view compressed = ".gz", text = ".txt";
  if (name.ends_with(compressed)) name.remove_suffix(compressed.size());
  if (name.starts_with('.') || !name.ends_with(text)) return std::nullopt;
  name.remove_suffix(text.size());
  return std::string(name);
}

// In the order of domains, which does not depend on what is compressed.
std::vector<TextFile> files_in(const fs::path& dir) {
  std::vector<TextFile> files;
  std::error_code error;
  for (fs::directory_iterator entry(dir, error), end; !error && entry != end; entry.increment(error)) {
    if (auto domain = domain_of(entry->path().filename().string()))
      files.push_back({*std::move(domain), entry->path()});
  }
  if (error)
    throw DataError(fmt::format("{} cannot be read ({}); set data.dir to a folder of *.txt or *.txt.gz files",
                                dir.string(), error.message()));
  if (files.empty())
    throw DataError(fmt::format(
        "{} holds no text (looked for *.txt and *.txt.gz, hidden ones aside); set data.dir to a folder of them",
        dir.string()));
  if (std::ssize(files) > most_domains)
    throw DataError(
        fmt::format("{} holds {} text files (each is a domain, of which there may be {}); join files that "
                    "belong together",
                    dir.string(), files.size(), most_domains));
  std::ranges::sort(files, {}, [](const TextFile& file) { return std::tie(file.domain, file.path); });
  const auto twice = std::ranges::adjacent_find(files, {}, &TextFile::domain);
  if (twice != files.end())
    throw DataError(fmt::format("{} and {} are both of the domain {} (a file is one); remove or rename one",
                                twice[0].path.string(), twice[1].path.filename().string(), twice->domain));
  return files;
}

// A sample is a window of a document and, as targets, the bytes that follow each of its own; windows of a
// document meet, and what is left behind its last one is no sample. Groups are domains. Holds the bytes once,
// and where each window begins.
class TextSource final : public SampleSource {
 public:
  TextSource(const std::vector<TextFile>& files, index_t window) : shape_{1, 1, window} {
    for (const TextFile& file : files) {
      const index_t begin = std::ssize(text_);
      append(file.path);
      cut_documents(begin);
      domains_.push_back({file.domain, std::ssize(text_)});
      for (Windows& windows : windows_) windows.domain_ends.push_back(std::ssize(windows.starts));
    }
    text_.shrink_to_fit();
    for (Windows& windows : windows_) windows.starts.shrink_to_fit();
  }

  const tensor::SampleShape& shape() const override { return shape_; }
  index_t class_count() const override { return 256; }
  index_t size(Split split) const override { return std::ssize(of(split).starts); }
  index_t documents(Split split) const { return of(split).documents; }
  index_t group_count() const override { return std::ssize(domains_); }
  std::vector<std::string> group_names() const override {
    std::vector<std::string> names;
    for (const Domain& domain : domains_) names.push_back(domain.name);
    return names;
  }

  index_t window() const override { return shape_.width; }
  void fill_tokens(Split split, Span<const index_t> samples, Span<std::int32_t> tokens,
                   Span<std::int32_t> targets) const override {
    for (std::size_t i = 0; i < samples.size(); ++i) {
      const std::uint8_t* const from = text_.data() + of(split).starts[samples[i]];
      const index_t to = static_cast<index_t>(i) * window();
      std::copy_n(from, window(), tokens.data() + to);
      std::copy_n(from + 1, window(), targets.data() + to);
    }
  }

  void fill(const Request& request, tensor::Matrix) const override {
    SY_EXPECTS(false, "{} samples of text as rows of floats", request.samples.size());
  }
  std::int32_t label(Split, index_t sample) const override {
    SY_EXPECTS(false, "the label of sample {} of text", sample);
    return 0;
  }
  std::int32_t group(Split split, index_t sample) const override {
    const Vector<index_t>& ends = of(split).domain_ends;
    return static_cast<std::int32_t>(std::ranges::upper_bound(ends, sample) - ends.begin());
  }

  void add_content(ContentHash& hash) const override {
    index_t begin = 0;
    for (const Domain& domain : domains_) {  // lengths first: no byte moves from one to the other unseen
      const auto text = Span(text_).subspan(begin, domain.end - begin);
      const std::array sizes{domain.name.size(), text.size()};
      hash.add(std::as_bytes(Span(sizes)));
      hash.add(std::as_bytes(Span(domain.name)));
      hash.add(std::as_bytes(text));
      begin = domain.end;
    }
  }

 private:
  struct Domain {
    std::string name;
    index_t end;  // of its bytes in text_
  };
  struct Windows {
    Vector<index_t> starts;       // in text_
    Vector<index_t> domain_ends;  // how many windows the domains up to this one have
    index_t documents = 0;
  };

  // In pieces: the vector then grows as it does by itself, however many files there are.
  void append(const fs::path& file) {
    ByteReader reader(file);
    Vector<std::uint8_t> piece(1 << 20);
    const std::size_t before = text_.size();
    while (const std::size_t got = reader.read(piece)) {
      const auto read = Span(piece).first(got);
      text_.insert(text_.end(), read.begin(), read.end());
    }
    if (text_.size() == before)
      throw DataError(fmt::format("{} is empty (a domain without a sample); remove it", file.string()));
  }

  // Of the file that begins there, the last one so far.
  void cut_documents(index_t begin) {
    for (Span<const std::uint8_t> rest = Span(text_).subspan(begin); !rest.empty();) {
      const auto document = rest.first(document_bytes(rest));
      Windows& windows = windows_[as_size(split_of(document))];
      ++windows.documents;
      const index_t start = std::ssize(text_) - std::ssize(rest);
      for (index_t at = 0; at + window() < std::ssize(document); at += window())
        windows.starts.push_back(start + at);
      rest = rest.subspan(document.size());
    }
  }

  const Windows& of(Split split) const { return windows_[as_size(split)]; }

  tensor::SampleShape shape_;
  Vector<std::uint8_t> text_;  // of all files
  std::vector<Domain> domains_;
  std::array<Windows, 3> windows_;  // by Split
};

void expect_sample(const TextSource& source, const Options& options, Split split) {
  if (source.size(split) > 0) return;
  const std::string what =
      fmt::format("{} has no {} sample (its documents are {} for training, {} for validation and {} for test",
                  options.dir, split == Split::train ? "training" : "test", source.documents(Split::train),
                  source.documents(Split::validation), source.documents(Split::test));
  if (source.documents(split) > 0) {
    throw ConfigError(
        fmt::format("{}, and one of data.window = {} takes {} bytes); add text, or lower data.window", what,
                    options.window, options.window + 1));
  }
  // Of 50 documents none is for test once in 200 times.
  throw ConfigError(fmt::format(
      "{}, and a hash of their bytes gives a tenth to each of the last two); add text, until there are 50 "
      "documents or so ({} KB if its lines are short)",
      what, 50 * shortest_document_bytes / 1024));
}

std::unique_ptr<const SampleSource> make(const Options& options, std::uint64_t /*seed*/) {
  if (options.dir.empty())
    throw ConfigError("data.dir is empty (data.source = text reads its files from there); set data.dir");
  auto source = std::make_unique<TextSource>(files_in(options.dir), options.window);
  for (const Split split : {Split::train, Split::test}) expect_sample(*source, options, split);
  return source;
}

void validate_text(const Options& options) {
  config::require(options.validation_samples == config::automatic_count,
                  "data.validation_samples = {} with data.source = text (by their bytes, a tenth of its "
                  "documents are for validation); remove it",
                  options.validation_samples);
  config::require(
      options.window < shortest_document_bytes,
      "data.window = {} with data.source = text (a document may have {} bytes, and a window lies in one); "
      "choose at most {}",
      options.window, shortest_document_bytes, shortest_document_bytes - 1);
}

}  // namespace

SourceKind text_source() {
  return {.reads_files = true,
          .has_pixels = false,
          .has_tokens = true,
          .describe = [](const Options& options) { return "text of " + options.dir; },
          .make = make,
          .validate = validate_text};
}

}  // namespace switchyard::data::detail
