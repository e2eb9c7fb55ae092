// Samples of NumPy's files: SPLIT_samples.npy, SPLIT_labels.npy and, if there are, SPLIT_clusters.npy,
// SPLIT_ids.npy and SPLIT_weights.npy in a folder.
#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <limits>
#include <regex>
#include <string>
#include <utility>
#include <vector>

#include "base/error.hpp"
#include "data/detail/table_source.hpp"
#include "files/file.hpp"
#include "files/regular_file.hpp"

namespace switchyard::data::detail {
namespace {

namespace fs = std::filesystem;

// NEP 1: a magic, a version, the length of a header, the header as Python text, then the numbers.
struct NpyFile {
  std::string name;
  files::File file;
  std::string type;  // "<f4"
  tensor::Shape shape;
  index_t offset = 0;  // of the numbers
};

[[noreturn]] void fail(const fs::path& path, std::string_view what) {
  throw DataError(fmt::format("{} {}", path.string(), what));
}

tensor::Shape shape_of(const std::string& text) {
  tensor::Shape shape;
  for (std::size_t at = 0; (at = text.find_first_of("0123456789", at)) != std::string::npos;) {
    index_t size = 0;
    const auto read = std::from_chars(text.data() + at, text.data() + text.size(), size);
    shape.push_back(size);
    at = as_size(read.ptr - text.data());
  }
  return shape;
}

NpyFile open_npy(const fs::path& path) {
  if (const std::string why = files::why_unreadable(path); !why.empty())
    fail(path,
         fmt::format("cannot be read ({}); data.source = npy reads train_samples.npy, train_labels.npy and, if "
                     "there are, test_... and validation_... in data.dir",
                     why));
  NpyFile npy{path.string(), files::File(path, O_RDONLY), {}, {}, 0};
  const index_t size = npy.file.size_bytes();
  std::array<unsigned char, 12> begin{};
  npy.file.read_at(
      0,
      Span<std::byte>(std::as_writable_bytes(Span(begin))).first(std::min<index_t>(size, std::ssize(begin))));
  const bool is_long = begin[6] >= 2;  // the version: the length of the header has four bytes, not two
  if (size < std::ssize(begin) || std::memcmp(begin.data(), "\x93NUMPY", 6) != 0 || begin[6] < 1 ||
      begin[6] > 3)
    fail(path, "is no file of numpy.save (it does not begin as one); write it with numpy.save");
  index_t length = begin[8] + begin[9] * 256;
  if (is_long) length += begin[10] * 65536 + index_t{begin[11]} * 16777216;
  npy.offset = (is_long ? 12 : 10) + length;
  constexpr index_t longest = 65536;
  if (length > longest || npy.offset > size)
    fail(path, "ends within its header (it is truncated); write it again");
  std::string header(as_size(length), ' ');
  npy.file.read_at(npy.offset - length, std::as_writable_bytes(Span(header)));

  static const std::regex form(
      R"(\{'descr': '([^']+)', 'fortran_order': (True|False), 'shape': \(([0-9, ]*)\), \}\s*)");
  std::smatch found;
  if (!std::regex_match(header, found, form))
    fail(path,
         "has fields or an unknown header (plain arrays are read); write one array of numbers with numpy.save");
  npy.type = found[1];
  npy.shape = shape_of(found[3]);
  if (found[2] == "True" && npy.shape.size() > 1)
    fail(path, "lies column by column (rows are read); write numpy.ascontiguousarray of it");
  return npy;
}

// Of numbers of so many bytes, which must be the rest of the file.
index_t count_of(const NpyFile& npy, index_t bytes) {
  const index_t left = npy.file.size_bytes() - npy.offset;
  index_t count = 1;
  for (const index_t size : npy.shape) {
    if (size != 0 && count > left / size) fail(npy.name, "ends early (it is truncated); write it again");
    count *= size;
  }
  if (count * bytes > left) fail(npy.name, "ends early (it is truncated); write it again");
  if (count * bytes < left)
    fail(npy.name, fmt::format("goes on behind its {} numbers (one array is read); write it again", count));
  return count;
}

NumberArray samples_of(const fs::path& path) {
  NpyFile npy = open_npy(path);
  const std::array<std::pair<std::string_view, NumberType>, 6> types = {{{"|u1", NumberType::uint8},
                                                                         {"|i1", NumberType::int8},
                                                                         {"<i2", NumberType::int16},
                                                                         {"<i4", NumberType::int32},
                                                                         {"<f4", NumberType::float32},
                                                                         {"<f8", NumberType::float64}}};
  const auto* const type = std::ranges::find(types, npy.type, &std::pair<std::string_view, NumberType>::first);
  if (type == types.end())
    fail(path,
         fmt::format(
             "holds numbers of type {} (|u1, |i1, <i2, <i4, <f4 and <f8 are read); write it as numpy.float32",
             npy.type));
  if (npy.shape.empty()) fail(path, "is a single number (samples have rows); write an array");
  if (tensor::element_count(npy.shape) == 0)
    fail(path, fmt::format("is {} (there is no number in it); write one sample at least",
                           tensor::to_string(npy.shape)));
  static_cast<void>(count_of(npy, bytes_of(type->second)));
  return {npy.name, type->second, std::move(npy.shape), std::move(npy.file), npy.offset};
}

template <class T>
std::vector<T> values_of(const NpyFile& npy) {
  std::vector<T> values(as_size(count_of(npy, sizeof(T))));
  npy.file.read_at(npy.offset, std::as_writable_bytes(Span(values)));
  return values;
}

// As whole numbers of T, each widened.
template <class T>
std::vector<std::int64_t> widened(const NpyFile& npy) {
  const std::vector<T> values = values_of<T>(npy);
  const auto largest = std::ranges::max_element(values);
  if (largest != values.end() && std::cmp_greater(*largest, std::numeric_limits<std::int64_t>::max()))
    fail(npy.name, fmt::format("holds {} at [{}] (numbers below 2^63 are read); number them anew", *largest,
                               largest - values.begin()));
  return {values.begin(), values.end()};
}

// What a file holds, for messages.
std::string words(const NpyFile& npy) {
  const bool is_text = npy.type.find('U') != std::string::npos || npy.type.find('S') != std::string::npos;
  return is_text ? "text" : "numbers of type " + npy.type;
}

// The hints say what else to do where the numbers are of another kind.
LabelArray labels_of(const fs::path& path, std::string_view hint = "", std::string_view hint_at_floats = "") {
  const NpyFile npy = open_npy(path);
  if (npy.shape.size() != 1)
    fail(path, fmt::format("is {} (one number for each sample is read); write it with one dimension",
                           npy.shape.empty() ? "a single number" : tensor::to_string(npy.shape)));
  using Read = std::vector<std::int64_t> (*)(const NpyFile&);
  const std::array<std::pair<std::string_view, Read>, 9> types = {{{"|b1", widened<std::uint8_t>},
                                                                   {"|u1", widened<std::uint8_t>},
                                                                   {"|i1", widened<std::int8_t>},
                                                                   {"<u2", widened<std::uint16_t>},
                                                                   {"<i2", widened<std::int16_t>},
                                                                   {"<u4", widened<std::uint32_t>},
                                                                   {"<i4", widened<std::int32_t>},
                                                                   {"<u8", widened<std::uint64_t>},
                                                                   {"<i8", widened<std::int64_t>}}};
  const auto* const type = std::ranges::find(types, npy.type, &std::pair<std::string_view, Read>::first);
  if (type == types.end())
    fail(path, fmt::format("holds {} (whole numbers are read, little-endian); write it as numpy.int64{}{}",
                           words(npy), hint, npy.type.starts_with("<f") ? hint_at_floats : ""));
  return {npy.name, type->second(npy)};
}

template <class T>
std::vector<double> as_doubles(const NpyFile& npy) {
  const std::vector<T> values = values_of<T>(npy);
  return {values.begin(), values.end()};
}

RealArray reals_of(const fs::path& path) {
  const NpyFile npy = open_npy(path);
  if (npy.shape.empty() || npy.shape.size() > 2)
    fail(path, fmt::format("is {} (samples, or samples x numbers, are read); give it another shape",
                           npy.shape.empty() ? "a single number" : tensor::to_string(npy.shape)));
  using Read = std::vector<double> (*)(const NpyFile&);
  const std::array<std::pair<std::string_view, Read>, 6> types = {{{"<f8", as_doubles<double>},
                                                                   {"<f4", as_doubles<float>},
                                                                   {"<i8", as_doubles<std::int64_t>},
                                                                   {"<i4", as_doubles<std::int32_t>},
                                                                   {"<i2", as_doubles<std::int16_t>},
                                                                   {"|u1", as_doubles<std::uint8_t>}}};
  const auto* const type = std::ranges::find(types, npy.type, &std::pair<std::string_view, Read>::first);
  if (type == types.end())
    fail(path,
         fmt::format("holds {} (numbers are read, little-endian); write it as numpy.float64", words(npy)));
  return {npy.name, npy.shape, type->second(npy)};
}

Table table_of(const fs::path& dir, const std::string& split, const Reading& reading) {
  const auto path_of = [&](const char* array) { return dir / fmt::format("{}_{}.npy", split, array); };
  const auto array_if_there = [&](const char* array, std::string_view hint = "") {
    return files::is_there(path_of(array)) ? std::optional(labels_of(path_of(array), hint)) : std::nullopt;
  };
  Table table{samples_of(path_of("samples"))};
  if (reading.needs_labels() || files::is_there(path_of("labels"))) {
    if (reading.labels == Labels::numbers)
      table.targets = reals_of(path_of("labels"));
    else
      table.labels = labels_of(path_of("labels"), "; number classes from 0", hint_at_labels(reading));
  }
  if (files::is_there(path_of("weights"))) table.weights = reals_of(path_of("weights"));
  table.clusters = array_if_there("clusters", "; number clusters from 0");
  table.ids = array_if_there("ids");
  return table;
}

std::optional<Table> table_if_there(const fs::path& dir, const std::string& split, const Reading& reading) {
  const bool is_there =
      files::is_there(dir / (split + "_samples.npy")) || files::is_there(dir / (split + "_labels.npy"));
  return is_there ? std::optional(table_of(dir, split, reading)) : std::nullopt;
}

// Whether it is called as an array of a split, but as none that there is: a name may be wrong by a letter.
bool is_unread(std::string_view name) {
  if (!name.ends_with(".npy")) return false;
  name.remove_suffix(4);
  for (const std::string_view split : {"train_", "validation_", "test_"}) {
    if (name.starts_with(split))
      return std::ranges::find(array_names, name.substr(split.size())) == array_names.end();
  }
  return false;
}

Tables read_tables(const Options& options, const Reading& reading) {
  try {
    std::vector<std::string> remarks;
    for (const fs::directory_entry& entry : fs::directory_iterator(options.dir)) {
      const std::string name = entry.path().filename().string();
      if (name.ends_with("_samples.npy") && !name.starts_with("train_") && !name.starts_with("validation_") &&
          !name.starts_with("test_"))
        fail(entry.path(), "is of no split that is read (train_, validation_ and test_ are); rename it");
      if (is_unread(name))
        remarks.push_back(fmt::format("{} is not read ({} of a split are)", entry.path().string(),
                                      fmt::join(array_names, ", ")));
    }
    Tables tables{table_if_there(options.dir, "train", reading),
                  table_if_there(options.dir, "validation", reading),
                  table_if_there(options.dir, "test", reading)};
    const bool has_one = tables.train || (!reading.needs_labels() && (tables.validation || tables.test));
    if (!has_one) tables.train = table_of(options.dir, "train", reading);  // says what is missing
    std::ranges::sort(remarks);
    tables.remarks = std::move(remarks);
    return tables;
  } catch (const fs::filesystem_error& error) {
    throw DataError(fmt::format("{} cannot be looked into ({}); set data.dir to the folder of the arrays",
                                options.dir, error.code().message()));
  } catch (const files::Failure& failure) {
    throw DataError(fmt::format("{} (it may be truncated); write the arrays again", failure.what()));
  }
}

}  // namespace

SourceKind npy_source() {
  return {.reads_files = true,
          .reads_images = true,
          .divides_files = true,
          .has_real_labels = true,
          .takes_test_samples = true,
          .describe = [](const Options& options) { return options.dir; },
          .read_tables = read_tables};
}

}  // namespace switchyard::data::detail
