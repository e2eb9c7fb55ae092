// Samples of tables of text: SPLIT.csv in a folder, plain or .gz, with a header that names the columns.
#include <csv.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cmath>
#include <cstring>
#include <exception>
#include <filesystem>
#include <optional>
#include <regex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.hpp"
#include "config/field_table.hpp"
#include "data/detail/byte_reader.hpp"
#include "data/detail/table_source.hpp"
#include "files/regular_file.hpp"

namespace switchyard::data::detail {
namespace {

namespace fs = std::filesystem;

template <class T>
std::optional<T> parsed(std::string_view text) {
  if (text.starts_with('+')) text.remove_prefix(1);
  T value{};
  const auto read = std::from_chars(text.data(), text.data() + text.size(), value);
  if (read.ec != std::errc() || read.ptr != text.data() + text.size()) return {};
  return value;
}

// What a message can hold: a NUL would end it.
std::string printable(std::string_view text) {
  std::string all(text);
  std::ranges::replace_if(
      all, [](char c) { return static_cast<unsigned char>(c) < ' '; }, '?');
  return all;
}

// The parser of libcsv (quotes and line breaks within them as RFC 4180 has them), and what its fields come to.
class CsvFile {
 public:
  CsvFile(fs::path path, const CsvOptions& options, const Reading& reading)
      : path_(std::move(path)), options_(&options), purpose_(reading.purpose), numbers_(reading.spool_folder) {
    if (csv_init(&parser_, CSV_STRICT | CSV_STRICT_FINI) != 0) throw std::bad_alloc();
  }
  ~CsvFile() { csv_free(&parser_); }
  CsvFile(const CsvFile&) = delete;
  CsvFile& operator=(const CsvFile&) = delete;

  Table read() {
    ByteReader reader(path_);
    std::array<std::uint8_t, 65536> buffer;
    bool is_first = true;
    while (const std::size_t got = reader.read(buffer)) {
      Span<const std::uint8_t> bytes = Span(buffer).first(got);
      constexpr std::array<std::uint8_t, 3> mark = {0xef, 0xbb, 0xbf};  // of UTF-8, as spreadsheets write it
      if (is_first && got >= mark.size() && std::ranges::equal(bytes.first(3), mark)) bytes = bytes.subspan(3);
      is_first = false;
      const std::size_t taken = csv_parse(&parser_, bytes.data(), bytes.size(), on_field, on_row, this);
      if (failure_) std::rethrow_exception(failure_);
      if (taken != bytes.size()) fail_in_parser();
    }
    const int ended = csv_fini(&parser_, on_field, on_row, this);
    if (failure_) std::rethrow_exception(failure_);
    if (ended != 0) fail_in_parser();
    if (columns_.empty()) fail("is empty; write a header that names the columns, and a row for each sample");
    if (row_ < 2) fail("has a header and no row; write one for each sample");

    Table table{numbers_.array(path_.string(), NumberType::float32, {row_ - 1, features()})};
    const auto array_of = [&](Column& column) -> std::optional<LabelArray> {
      if (column.index < 0) return {};
      return LabelArray{fmt::format("{}: {}", path_.string(), columns_[as_size(column.index)]),
                        std::move(column.values), true};
    };
    table.labels = array_of(label_);
    table.clusters = array_of(cluster_);
    table.ids = array_of(id_);
    return table;
  }

  const std::vector<std::string>& columns() const { return columns_; }
  // Those of the numbers of a sample.
  std::vector<std::string> feature_names() const {
    std::vector<std::string> names;
    for (std::size_t c = 0; c < columns_.size(); ++c) {
      const auto is_it = [&](const Column* column) { return column->index == static_cast<index_t>(c); };
      if (std::ranges::none_of(std::array{&label_, &cluster_, &id_}, is_it)) names.push_back(columns_[c]);
    }
    return names;
  }

 private:
  // One of whole numbers, which is no number of a sample; there is none where the index is -1.
  struct Column {
    index_t index = -1;
    std::vector<std::int64_t> values = {};
  };

  index_t features() const {
    index_t count = std::ssize(columns_);
    for (const Column* column : {&label_, &cluster_, &id_}) count -= column->index >= 0 ? 1 : 0;
    return count;
  }

  [[noreturn]] void fail(const std::string& what) const {
    throw DataError(fmt::format("{} {}", path_.string(), what));
  }
  [[noreturn]] void fail_in_parser() {
    fail(fmt::format("cannot be read {} ({}); see that quotes are closed",
                     row_ < 2 ? "in its header or the first row below it"
                              : fmt::format("behind row {}, counted below the header from 1", row_ - 1),
                     csv_strerror(csv_error(&parser_))));
  }

  // The library is C: what is thrown waits until it has returned, and what it says from then on is passed over.
  template <class Action>
  static void guarded(void* self, const Action& action) {
    auto& file = *static_cast<CsvFile*>(self);
    if (file.failure_) return;
    try {
      action(file);
    } catch (...) {
      file.failure_ = std::current_exception();
    }
  }
  static void on_field(void* text, std::size_t size, void* self) {
    guarded(self, [&](CsvFile& file) { file.take_field({static_cast<const char*>(text), size}); });
  }
  static void on_row(int /*end*/, void* self) {
    guarded(self, [](CsvFile& file) { file.end_row(); });
  }

  void take_field(std::string_view text) {
    const index_t column = column_++;
    if (row_ == 0) {
      columns_.emplace_back(text);
      return;
    }
    if (column >= std::ssize(columns_)) return;  // end_row() says so
    for (Column* const whole_numbers : {&label_, &cluster_, &id_}) {
      if (column == whole_numbers->index) {
        whole_numbers->values.push_back(whole(text, column));
        return;
      }
    }
    const auto value = static_cast<float>(number(text, column));
    if (!std::isfinite(value))
      fail_at(text, column, "a finite float32 is read; leave the row out, or fill the number in");
    numbers_.append({reinterpret_cast<const std::uint8_t*>(&value), sizeof value});
  }

  void end_row() {
    if (row_ == 0) {
      take_header();
    } else if (column_ != std::ssize(columns_)) {
      fail(fmt::format(
          "has {} fields in row {} (its header names {} columns, and row 1 is the first below it); write "
          "as many",
          column_, row_, columns_.size()));
    }
    ++row_;
    column_ = 0;
  }

  void take_header() {
    // Columns that pandas had no names for are called 0, 1, 2, ...
    bool counts = true, all_numbers = true;
    for (std::size_t c = 0; c < columns_.size(); ++c) {
      counts = counts && columns_[c] == std::to_string(c);
      all_numbers = all_numbers && parsed<double>(columns_[c]).has_value();
    }
    if (all_numbers && !counts)
      fail("begins with a row of numbers (a header that names the columns is read); write one before it");
    for (const char separator : {';', '\t'}) {
      if (columns_.size() == 1 && columns_[0].find(separator) != std::string::npos)
        fail(fmt::format("has {} between its columns (a comma is read); write it with commas",
                         separator == '\t' ? "tabs" : "semicolons"));
    }
    const auto unnamed = std::ranges::find_if(
        columns_, [](const std::string& name) { return name.empty() || name.starts_with("Unnamed: "); });
    if (unnamed != columns_.end())
      fail(fmt::format(
          "has a column {} without a name (pandas writes its index so, which is no number of a sample); write "
          "it with index=False, or name the column",
          unnamed - columns_.begin() + 1));
    for (const std::string& name : columns_) {
      if (std::ranges::count(columns_, name) > 1)
        fail(fmt::format("has two columns called '{}'; rename one of them", name));
    }
    find(options_->label, "csv.label", label_);
    find(options_->cluster, "csv.cluster", cluster_);
    find(options_->id, "csv.id", id_);
    for (const auto& [a, b] :
         {std::pair(&label_, &cluster_), std::pair(&label_, &id_), std::pair(&cluster_, &id_)}) {
      if (a->index >= 0 && a->index == b->index)
        throw ConfigError(
            fmt::format("two of csv.label, csv.cluster and csv.id are '{}'; name a column for each",
                        columns_[as_size(a->index)]));
    }
    if (features() == 0) fail("has no column of numbers; write one at least");
  }

  // Where the column is. Predictions do without one.
  void find(const std::string& name, std::string_view key, Column& column) const {
    if (name.empty() || (purpose_ == Purpose::prediction && std::ranges::count(columns_, name) == 0)) return;
    column.index = column_of(name, key);
  }

  index_t column_of(const std::string& name, std::string_view key) const {
    const auto found = std::ranges::find(columns_, name);
    if (found != columns_.end()) return found - columns_.begin();
    constexpr std::size_t most = 20;
    fail(fmt::format(
        "has no column '{}' (it has {}{}); set {} to one of them", name,
        printable(fmt::format("{}", fmt::join(Span(columns_).first(std::min(most, columns_.size())), ", "))),
        columns_.size() > most ? ", ..." : "", key));
  }

  [[noreturn]] void fail_at(std::string_view text, index_t column, const char* what) const {
    fail(fmt::format("has {} in column '{}' of row {} (row 1 is the first below the header; {})",
                     text.empty() ? std::string("nothing") : fmt::format("'{}'", printable(text.substr(0, 40))),
                     columns_[as_size(column)], row_,
                     text.empty() ? "a number is read; leave the row out, or fill it in" : what));
  }
  double number(std::string_view text, index_t column) const {
    if (const auto value = parsed<double>(text)) return *value;
    fail_at(
        text, column,
        "a number is read; write a column of categories as one of 0 and 1 for each of them, as pandas.get_dummies does");
  }
  std::int64_t whole(std::string_view text, index_t column) const {
    if (const auto value = parsed<std::int64_t>(text)) return *value;
    fail_at(text, column,
            "a whole number is read; number classes from 0, as pandas.Categorical(...).codes does");
  }

  fs::path path_;
  const CsvOptions* options_;
  Purpose purpose_;
  csv_parser parser_{};
  std::exception_ptr failure_;
  std::vector<std::string> columns_;
  Column label_, cluster_, id_;
  index_t row_ = 0, column_ = 0;  // of the next field; row 0 is the header
  NumberSpool numbers_;
};

// Tables that nothing reads, and a column that looks like names of samples.
std::vector<std::string> remarks_of(const Options& options, Span<const std::string> feature_names) {
  std::vector<std::string> remarks, unread;
  std::error_code error;
  const std::regex read(R"((train|validation|test)\.csv(\.gz)?)"), table(R"([^.].*\.csv(\.gz)?)");
  for (fs::directory_iterator entry(options.dir, error), end; !error && entry != end; entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    if (std::regex_match(name, table) && !std::regex_match(name, read)) unread.push_back(printable(name));
  }
  std::ranges::sort(unread);
  constexpr std::size_t most = 5;
  if (!unread.empty())
    remarks.push_back(fmt::format(
        "{}{} in {} {} not read (train.csv, validation.csv and test.csv are); rename what is a split",
        fmt::join(Span(unread).first(std::min(most, unread.size())), ", "), unread.size() > most ? ", ..." : "",
        options.dir, unread.size() == 1 ? "is" : "are"));
  for (const std::string& name : feature_names) {
    std::string lower = name;
    std::ranges::transform(lower, lower.begin(),
                           [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    if (lower == "id" || lower == "ids" || lower == "index")
      remarks.push_back(
          fmt::format("the column '{0}' is a number that the model sees; if it names samples, set csv.id = {0}",
                      printable(name)));
  }
  return remarks;
}

Tables read_tables(const Options& options, const Reading& reading) {
  std::vector<std::string> columns, feature_names;  // of the first table
  std::string first;
  const auto table_of = [&](std::string_view split) -> std::optional<Table> {
    const fs::path plain = fs::path(options.dir) / fmt::format("{}.csv", split);
    const auto path = plain_or_compressed(plain);
    if (!path) return {};
    if (*path == plain && files::is_there(plain.string() + ".gz"))
      throw DataError(fmt::format("{0} is beside {0}.gz (one table of a split is read); remove one of them",
                                  plain.string()));
    CsvFile file(*path, options.csv, reading);
    Table table = file.read();
    if (!columns.empty() && columns != file.columns())
      throw DataError(fmt::format("{} names other columns than {} ({} and {}); write both alike",
                                  path->string(), first, fmt::join(file.columns(), ", "),
                                  fmt::join(columns, ", ")));
    columns = file.columns();
    feature_names = file.feature_names();
    first = path->string();
    return table;
  };
  Tables tables{table_of("train"), table_of("validation"), table_of("test")};
  tables.remarks = remarks_of(options, feature_names);
  const bool has_one =
      tables.train || (reading.purpose == Purpose::prediction && (tables.validation || tables.test));
  if (!has_one)
    throw DataError(
        fmt::format("neither train.csv nor train.csv.gz is in {} (data.source = csv reads it, and test.csv and "
                    "validation.csv where there are); set data.dir to the folder",
                    options.dir));
  tables.feature_names = std::move(feature_names);
  return tables;
}

constexpr config::FieldTable<CsvOptions> place{config::Role::source};
constexpr std::array fields = {
    place.text<&CsvOptions::label>("label", "the column of the labels"),
    place.text<&CsvOptions::cluster>("cluster",
                                     "the column of clusters, which analysis alone sees; empty: none"),
    place.text<&CsvOptions::id>("id",
                                "the column of whole numbers by which predictions name samples; empty: none"),
};

}  // namespace

SourceKind csv_source() {
  return {.reads_files = true,
          .divides_files = true,
          .takes_test_samples = true,
          .section = config::section_at<&Options::csv>("csv", "data.source = csv", fields),
          .describe = [](const Options& options) { return options.dir; },
          .read_tables = read_tables};
}

}  // namespace switchyard::data::detail
