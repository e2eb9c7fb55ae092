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
#include "base/name_lines.hpp"
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

// The parser of libcsv (quotes and line breaks within them as RFC 4180 has them), and what its fields come to.
class CsvFile {
 public:
  CsvFile(fs::path path, const CsvOptions& options, const Reading& reading)
      : path_(std::move(path)), options_(&options), reading_(reading), numbers_(reading.spool_folder) {
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
    const auto array_of = [&](Use use, std::vector<std::int64_t>& values) -> std::optional<LabelArray> {
      if (count_of(use) == 0) return {};
      return LabelArray{name_of(use), std::move(values), true};
    };
    table.labels = array_of(Use::label, labels_);
    table.clusters = array_of(Use::cluster, clusters_);
    table.ids = array_of(Use::id, ids_);
    if (const index_t count = count_of(Use::target); count > 0) {
      tensor::Shape shape{row_ - 1};
      if (count > 1) shape.push_back(count);
      table.targets = RealArray{name_of(Use::target), std::move(shape), std::move(targets_), true};
    }
    if (count_of(Use::weight) > 0)
      table.weights = RealArray{name_of(Use::weight), {row_ - 1}, std::move(weights_), true};
    return table;
  }

  const std::vector<std::string>& columns() const { return columns_; }
  // Those of the numbers of a sample.
  std::vector<std::string> feature_names() const {
    std::vector<std::string> names;
    for (std::size_t c = 0; c < columns_.size(); ++c) {
      if (uses_[c] == Use::feature) names.push_back(columns_[c]);
    }
    return names;
  }

 private:
  // What a column is. A feature is a number of a sample.
  enum class Use { feature, label, cluster, id, target, weight };

  index_t count_of(Use use) const { return std::ranges::count(uses_, use); }
  index_t features() const { return count_of(Use::feature); }
  // "train.csv: price", of the first column of that use, for messages.
  std::string name_of(Use use) const {
    return fmt::format("{}: {}", path_.string(),
                       columns_[as_size(std::ranges::find(uses_, use) - uses_.begin())]);
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
    switch (uses_[as_size(column)]) {
      case Use::label:
        labels_.push_back(whole(text, column));
        return;
      case Use::cluster:
        clusters_.push_back(whole(text, column));
        return;
      case Use::id:
        ids_.push_back(whole(text, column));
        return;
      case Use::target:
        targets_.push_back(finite(text, column));
        return;
      case Use::weight:
        weights_.push_back(finite(text, column));
        return;
      case Use::feature:
        take_feature(text, column);
        return;
    }
  }

  void take_feature(std::string_view text, index_t column) {
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
    uses_.assign(columns_.size(), Use::feature);
    if (reading_.labels == Labels::classes) {
      find(options_->label, "csv.label", Use::label);
    } else {
      for (const std::string& name : names_in(options_->label)) {
        if (name.empty())
          throw ConfigError(
              fmt::format("csv.label = {} has a column without a name (names stand between commas); write the "
                          "columns of the labels",
                          options_->label));
        find(name, "csv.label", Use::target);
      }
    }
    find(options_->cluster, "csv.cluster", Use::cluster);
    find(options_->id, "csv.id", Use::id);
    find(options_->weight, "csv.weight", Use::weight);
    if (features() == 0) fail("has no column of numbers; write one at least");
  }

  // "price, rent": several columns of targets have commas between.
  static std::vector<std::string> names_in(std::string_view text) {
    std::vector<std::string> names;
    while (true) {
      const std::size_t end = text.find(',');
      std::string_view name = text.substr(0, end);
      while (name.starts_with(' ')) name.remove_prefix(1);
      while (name.ends_with(' ')) name.remove_suffix(1);
      names.emplace_back(name);
      if (end == std::string_view::npos) return names;
      text.remove_prefix(end + 1);
    }
  }

  // Marks the column of that name. Predictions do without one.
  void find(const std::string& name, std::string_view key, Use use) {
    if (name.empty() || (!reading_.needs_labels() && std::ranges::count(columns_, name) == 0)) return;
    Use& of_column = uses_[as_size(column_of(name, key))];
    if (of_column != Use::feature)
      throw ConfigError(fmt::format(
          "two of csv.label, csv.cluster, csv.id and csv.weight are '{}'; name a column for each", name));
    of_column = use;
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
  double finite(std::string_view text, index_t column) const {
    const double value = number(text, column);
    if (!std::isfinite(value))
      fail_at(text, column, "a finite number is read; leave the row out, or fill it in");
    return value;
  }
  std::int64_t whole(std::string_view text, index_t column) const {
    if (const auto value = parsed<std::int64_t>(text)) return *value;
    fail_at(
        text, column,
        "a whole number is read; number classes from 0, as pandas.Categorical(...).codes does, or, to learn "
        "real numbers, set model.loss = squared_error");
  }

  fs::path path_;
  const CsvOptions* options_;
  Reading reading_;
  csv_parser parser_{};
  std::exception_ptr failure_;
  std::vector<std::string> columns_;
  std::vector<Use> uses_;  // of the columns
  std::vector<std::int64_t> labels_, clusters_, ids_;
  std::vector<double> targets_, weights_;
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
  const bool has_one = tables.train || (!reading.needs_labels() && (tables.validation || tables.test));
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
    place.text<&CsvOptions::label>(
        "label", "the column of the labels; of real numbers also several, with commas between"),
    place.text<&CsvOptions::cluster>("cluster",
                                     "the column of clusters, which analysis alone sees; empty: none"),
    place.text<&CsvOptions::id>("id",
                                "the column of whole numbers by which predictions name samples; empty: none"),
    place.text<&CsvOptions::weight>("weight",
                                    "the column of weights by which training samples count; empty: none"),
};

}  // namespace

SourceKind csv_source() {
  return {.reads_files = true,
          .divides_files = true,
          .has_real_labels = true,
          .takes_test_samples = true,
          .section = config::section_at<&Options::csv>("csv", "data.source = csv", fields),
          .describe = [](const Options& options) { return options.dir; },
          .read_tables = read_tables};
}

}  // namespace switchyard::data::detail
