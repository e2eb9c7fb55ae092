// corpus: text files as a file of tokens.
#include <fmt/format.h>

#include <charconv>
#include <filesystem>
#include <iostream>

#include "base/error.hpp"
#include "cli/commands/commands.hpp"
#include "cli/options.hpp"
#include "console/terminal.hpp"
#include "data/corpus.hpp"
#include "files/regular_file.hpp"
#include "run/vocabulary.hpp"
#include "train/evaluation.hpp"

namespace switchyard::cli {
namespace {

constexpr std::size_t name_columns = 24;

std::filesystem::path new_file_of(const CommandLine& line) {
  const std::filesystem::path file = line.option("out").value_or("");
  if (file.empty())
    throw ConfigError(
        "corpus was not told where to write (--out is missing or empty); try `switchyard corpus texts/ "
        "--out=tokens.h5`");
  if (files::is_there(file))
    throw DataError(fmt::format(
        "{} is there already (a vocabulary once trained with is not replaced); remove it, or choose "
        "another --out=FILE",
        file.string()));
  const std::filesystem::path folder = file.has_parent_path() ? file.parent_path() : ".";
  std::error_code error;
  if (!std::filesystem::is_directory(folder, error))
    throw DataError(
        fmt::format("there is no folder {}; make it, or choose another --out=FILE", folder.string()));
  return file;
}

// A number of pieces, or where there are some.
void set_vocabulary(const CommandLine& line, data::CorpusOptions& options) {
  const std::string text = line.option("vocabulary").value_or("4096");
  const char* const end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data(), end, options.vocabulary);
  if (parsed.ec == std::errc() && parsed.ptr == end) return;
  if (!files::is_there(text))
    throw ConfigError(
        fmt::format("'--vocabulary={}' is no number of pieces, and no file has this name (a file of tokens, a "
                    "checkpoint or a run folder gives its own); try --vocabulary=4096",
                    text));
  options.model = run::read_vocabulary(text).model();
}

std::string row_of(std::string_view domain, std::string_view split, const data::CorpusCount& count) {
  const double ratio =
      count.tokens > 0 ? static_cast<double>(count.bytes) / static_cast<double>(count.tokens) : 0;
  return fmt::format("  {}  {:<10} {:>10} {:>14} {:>14} {:>8.2f}\n", domain, split,
                     console::grouped(count.documents), console::grouped(count.bytes),
                     console::grouped(count.tokens), ratio);
}

std::string table_of(const data::Corpus& corpus) {
  const auto counts = corpus.counts();
  const console::TextStyle style = console::detect_terminal(1).style;
  std::string text = fmt::format("  {:>{}}  {:<10} {:>10} {:>14} {:>14} {:>8}\n", "domain", name_columns,
                                 "split", "documents", "bytes", "tokens", "bytes/token");
  const auto add_rows = [&](const std::string& name, const auto& count_of) {
    for (const data::Split split : {data::Split::train, data::Split::validation, data::Split::test})
      text += row_of(console::right_aligned(console::name_cell(name, name_columns, style), name_columns),
                     train::name(split), count_of(counts[as_size(split)]));
  };
  for (std::size_t domain = 0; domain < corpus.domains.size(); ++domain)
    add_rows(corpus.domains[domain], [&](const auto& of_split) { return of_split[domain]; });
  if (corpus.domains.size() == 1) return text;
  add_rows("all", [](const auto& of_split) {
    data::CorpusCount whole;
    for (const data::CorpusCount& count : of_split) {
      whole.documents += count.documents;
      whole.bytes += count.bytes;
      whole.tokens += count.tokens;
    }
    return whole;
  });
  return text;
}

}  // namespace

int corpus(Arguments arguments) {
  const CommandLine line = parse_command_line(arguments, {.own = {"out", "vocabulary", "without"}});
  const std::filesystem::path file = new_file_of(line);
  data::CorpusOptions options{.inputs = line.positionals, .without = line.option("without").value_or("")};
  set_vocabulary(line, options);
  const data::Corpus made =
      data::make_corpus(options, [](const std::string& stage) { std::cout << stage << std::endl; });
  data::write_corpus(file, made);
  std::cout << table_of(made)
            << fmt::format("{}: {} pieces; {} bytes of text occurred before and were left out\n", file.string(),
                           console::grouped(made.vocabulary.size()), console::grouped(made.dropped_bytes));
  return 0;
}

std::string corpus_help() {
  return "usage: switchyard corpus FILE|FOLDER|NAME=PATH ... --out=FILE.h5 [--vocabulary=N|FILE]\n"
         "                         [--without=NAME]\n\n"
         "Makes tokens of text, for data.source = tokens: learns a vocabulary of N pieces (4096; BPE of "
         "SentencePiece, without\n"
         "loss) and writes documents, their domains and splits, and all that turns tokens into text again. Each "
         "argument is a\n"
         "domain: a file, which is cut into documents of some 4 KiB, or a folder, each text file below it "
         "(.txt .rst .pod .md\n"
         "and others, or .gz behind that) a document, but for files and folders called as --without says. "
         "Documents and\n"
         "paragraphs that occurred before are left out; a tenth of the documents is for validation and a tenth "
         "for test. The\n"
         "same text gives the same file. --vocabulary=FILE takes that of a file of tokens, a checkpoint or a run "
         "folder, for text\n"
         "that is to be read by a model that was trained with it. docs/language_models.md tells more.\n";
}

}  // namespace switchyard::cli
