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
#include "data/detail/window_source.hpp"

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

// Windows of a document meet, and what is left behind its last one is no sample. Holds the bytes once, and
// where each window begins.
class TextSource final : public WindowSource {
 public:
  TextSource(const std::vector<TextFile>& files, const Options& options) : WindowSource(options.window) {
    for (const TextFile& file : files) {
      const index_t begin = std::ssize(text_);
      append(file.path);
      cut_documents(begin);
      domains_.push_back({file.domain, std::ssize(text_)});
      for (const Split split : {Split::train, Split::validation, Split::test}) end_domain(split);
    }
    text_.shrink_to_fit();
    end_windows(options.evaluation_samples);
  }

  index_t class_count() const override { return 256; }
  index_t group_count() const override { return std::ssize(domains_); }
  std::vector<std::string> group_names() const override {
    std::vector<std::string> names;
    for (const Domain& domain : domains_) names.push_back(domain.name);
    return names;
  }

  void fill_tokens(Split split, Span<const index_t> samples, Span<std::int32_t> tokens,
                   Span<std::int32_t> targets) const override {
    for (std::size_t i = 0; i < samples.size(); ++i) {
      const std::uint8_t* const from = text_.data() + of(split).starts[samples[i]];
      const index_t to = static_cast<index_t>(i) * window();
      std::copy_n(from, window(), tokens.data() + to);
      std::copy_n(from + 1, window(), targets.data() + to);
    }
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
      const Split split = split_of(document);
      const index_t begin_of_document = std::ssize(text_) - std::ssize(rest);
      count_documents(split, 1);
      begin_windows(split, {begin_of_document, begin_of_document + std::ssize(document)});
      rest = rest.subspan(document.size());
    }
  }

  Vector<std::uint8_t> text_;  // of all files
  std::vector<Domain> domains_;
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
  auto source = std::make_unique<TextSource>(files_in(options.dir), options);
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
