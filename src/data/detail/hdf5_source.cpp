// Samples of an HDF5 file that a user wrote: SPLIT/samples, SPLIT/labels and, if there are, SPLIT/clusters,
// SPLIT/ids and SPLIT/weights.
#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/error.hpp"
#include "base/name_lines.hpp"
#include "checkpoint/hdf5.hpp"
#include "data/detail/table_checks.hpp"
#include "data/detail/table_source.hpp"
#include "files/file.hpp"
#include "files/regular_file.hpp"

namespace switchyard::data::detail {
namespace {

namespace hdf5 = checkpoint::hdf5;
using hdf5::check;
using hdf5::checked;

// One file: what it holds is looked up with libhdf5, and rows are read from where they lie, without it.
class TableFile {
 public:
  explicit TableFile(const std::string& path) : path_(path) {
    if (const std::string why = files::why_unreadable(path); !why.empty())
      throw DataError(fmt::format("{} cannot be read ({}); set data.file to an HDF5 file", path, why));
    if (H5Fis_hdf5(path.c_str()) <= 0)
      throw DataError(
          fmt::format("{} is no HDF5 file (it does not begin as one); set data.file to one, or "
                      "data.source to what it is",
                      path));
    file_ =
        checked<hdf5::FileId>(H5Fopen(path.c_str(), H5F_ACC_RDONLY, hdf5::file_access().get()), "opening it");
  }

  bool has(const std::string& name) const {
    return H5Lexists(file_.get(), name.c_str(), H5P_DEFAULT) > 0 &&
           H5Oexists_by_name(file_.get(), name.c_str(), H5P_DEFAULT) > 0;
  }

  Table table(const std::string& split, const Reading& reading) const {
    Table table{samples(split + "/samples")};
    const index_t rows = table.samples.rows();
    if (reading.needs_labels() || has(split + "/labels")) {
      if (reading.labels == Labels::numbers)
        table.targets = real_numbers(split + "/labels", rows);
      else
        table.labels =
            whole_numbers(split + "/labels", rows, "; number classes from 0", hint_at_labels(reading));
    }
    if (has(split + "/weights")) table.weights = real_numbers(split + "/weights", rows);
    if (has(split + "/clusters"))
      table.clusters = whole_numbers(split + "/clusters", rows, "; number clusters from 0");
    if (has(split + "/ids")) table.ids = whole_numbers(split + "/ids", rows);
    return table;
  }

  Tables tables(const Reading& reading) const {
    expect_known_splits();
    const auto table_if_there = [&](const std::string& split) {
      return has(split) ? std::optional(table(split, reading)) : std::nullopt;
    };
    Tables tables{table_if_there("train"), table_if_there("validation"), table_if_there("test")};
    const bool has_one = tables.train || (!reading.needs_labels() && (tables.validation || tables.test));
    if (!has_one) tables.train = table("train", reading);  // says what is missing
    for (const std::string split : {"train", "validation", "test"}) {
      if (has(split)) add_remarks(split, tables.remarks);
    }
    const index_t most = most_classes_of(tables, reading.purpose);
    tables.least_classes = count_if_there("classes", "labels", tables, &Table::labels, most);
    tables.least_clusters = count_if_there("clusters", "clusters", tables, &Table::clusters, most);
    tables.feature_names = columns_if_there(
        tables.train ? *tables.train : *(tables.test ? tables.test : tables.validation), tables.remarks);
    tables.class_names = names_if_there("class_names", tables.remarks);
    if (!tables.class_names.empty()) tables.least_classes = named_classes(tables);
    return tables;
  }

 private:
  // `switchyard convert` leaves beside the splits what the labels alone do not say: how many there could be.
  index_t count_if_there(const std::string& name, std::string_view of, const Tables& tables,
                         std::optional<LabelArray> Table::*array, index_t most) const {
    if (!has(name)) return 0;
    const hdf5::DatasetId dataset = open(name);
    const auto type = checked<hdf5::TypeId>(H5Dget_type(dataset.get()), "asking for a type");
    if (H5Tget_class(type.get()) != H5T_INTEGER || !shape_of(dataset).empty())
      fail(name,
           fmt::format("is no single whole number (how many {} there are is read); write one, or leave it out",
                       name));
    std::int64_t count = 0;
    check(H5Dread(dataset.get(), H5T_NATIVE_INT64, H5S_ALL, H5S_ALL, H5P_DEFAULT, &count), "reading " + name);
    const std::int64_t largest = largest_of(tables, array);
    if (count <= largest)
      fail(name, fmt::format("is {}, but {} go up to {} ({} counts from 0); write {} at least, or leave it out",
                             count, of, largest, name, largest + 1));
    if (count > most)
      fail(name, fmt::format("is {} (with as few samples {} at most are read); write it anew, or leave it out",
                             count, most));
    return count;
  }

  // How many classes have names: all, each its own.
  index_t named_classes(const Tables& tables) const {
    const index_t named = std::ssize(tables.class_names);
    const index_t labels = largest_of(tables, &Table::labels) + 1,
                  classes = std::max(tables.least_classes, labels);
    if (named < classes || (has("classes") && named != classes))
      fail("class_names",
           fmt::format("has {} names, but there are {} classes (each needs one, with a line break "
                       "behind it); write it anew, or leave it out",
                       named, classes));
    if (const std::string flaw = flaw_of(tables.class_names); !flaw.empty())
      fail("class_names",
           fmt::format("has {} (names tell classes apart); write it anew, or leave it out", flaw));
    return named;
  }

  static std::int64_t largest_of(const Tables& tables, std::optional<LabelArray> Table::*array) {
    std::int64_t largest = 0;
    for (const std::optional<Table>* table : {&tables.train, &tables.validation, &tables.test}) {
      if (!*table || !((**table).*array)) continue;
      for (const std::int64_t value : ((**table).*array)->values) largest = std::max(largest, value);
    }
    return largest;
  }

  // Of the numbers of a sample.
  std::vector<std::string> columns_if_there(const Table& table, std::vector<std::string>& remarks) const {
    std::vector<std::string> names = names_if_there("columns", remarks);
    if (!names.empty() && std::ssize(names) != table.samples.row_size())
      fail("columns",
           fmt::format(
               "has {} names, but a sample has {} numbers (each needs one, with a line break behind it); "
               "write it anew, or leave it out",
               names.size(), table.samples.row_size()));
    return names;
  }

  // Of a text with one on each line.
  std::vector<std::string> names_if_there(const std::string& array, std::vector<std::string>& remarks) const {
    if (!has(array) || is_group(array)) return {};
    const hdf5::DatasetId dataset = open(array);
    const auto type = checked<hdf5::TypeId>(H5Dget_type(dataset.get()), "asking for a type");
    if (H5Tget_class(type.get()) != H5T_STRING || H5Tis_variable_str(type.get()) > 0 ||
        !shape_of(dataset).empty()) {
      remarks.push_back(fmt::format(
          "{} is not read (a text of fixed length with a name on each line is, as `switchyard convert` writes it)",
          name_of(array)));
      return {};
    }
    std::string text(H5Tget_size(type.get()), '\0');
    check(H5Dread(dataset.get(), type.get(), H5S_ALL, H5S_ALL, H5P_DEFAULT, text.data()), "reading " + array);
    return names_on_lines(text);
  }

  // What a split has that is not read: a name may be wrong by a letter.
  void add_remarks(const std::string& split, std::vector<std::string>& remarks) const {
    if (!is_group(split)) return;
    for (const std::string& name : names_in(split)) {
      if (std::ranges::find(array_names, name) == array_names.end())
        remarks.push_back(fmt::format("{} is not read ({} are)", name_of(fmt::format("{}/{}", split, name)),
                                      fmt::join(array_names, ", ")));
    }
  }

  std::vector<std::string> names_in(const std::string& group_name) const {
    const auto group = checked<hdf5::GroupId>(H5Gopen2(file_.get(), group_name.c_str(), H5P_DEFAULT),
                                              "opening group " + group_name);
    H5G_info_t info;
    check(H5Gget_info(group.get(), &info), "looking at group " + group_name);
    std::vector<std::string> names;
    for (hsize_t i = 0; i < info.nlinks; ++i) {
      std::array<char, 256> name{};
      check(H5Lget_name_by_idx(group.get(), ".", H5_INDEX_NAME, H5_ITER_INC, i, name.data(), name.size(),
                               H5P_DEFAULT) < 0
                ? -1
                : 0,
            "listing group " + group_name);
      names.emplace_back(name.data());
    }
    return names;
  }

  // A split by another name would go unread.
  void expect_known_splits() const {
    for (const std::string& split : names_in("/")) {
      const bool is_known = split == "train" || split == "validation" || split == "test";
      if (!is_known && is_group(split) && has(split + "/samples"))
        fail(split + "/samples",
             "is of no split that is read (train, validation and test are); rename the group");
    }
  }

  bool is_group(const std::string& name) const {
    H5O_info_t info;
    return has(name) &&
           H5Oget_info_by_name2(file_.get(), name.c_str(), &info, H5O_INFO_BASIC, H5P_DEFAULT) >= 0 &&
           info.type == H5O_TYPE_GROUP;
  }

  std::string name_of(const std::string& data_set) const { return path_ + ": " + data_set; }

  [[noreturn]] void fail(const std::string& data_set, const std::string& what) const {
    throw DataError(fmt::format("{} {}", name_of(data_set), what));
  }

  hdf5::DatasetId open(const std::string& name) const {
    if (!has(name))
      throw DataError(
          fmt::format("{} has no data set {} (SPLIT/samples and SPLIT/labels are read, where SPLIT is train, "
                      "validation or test); add it",
                      path_, name));
    H5O_info_t info;
    check(H5Oget_info_by_name2(file_.get(), name.c_str(), &info, H5O_INFO_BASIC, H5P_DEFAULT),
          "looking at " + name);
    if (info.type != H5O_TYPE_DATASET) fail(name, "is a group (a data set is read); write the array there");
    auto dataset =
        checked<hdf5::DatasetId>(H5Dopen2(file_.get(), name.c_str(), H5P_DEFAULT), "opening data set " + name);
    // A link to another file would lead there, and its rows' places be read in this one.
    if (file_name_of(dataset.get()) != file_name_of(file_.get()))
      fail(name, fmt::format("is a link to {} (one file is read); write the array itself there",
                             file_name_of(dataset.get())));
    return dataset;
  }

  // Of the file that an object is in.
  static std::string file_name_of(hid_t object) {
    const ssize_t length = H5Fget_name(object, nullptr, 0);
    if (length < 0) hdf5::fail_in_library("asking for the name of a file");
    std::string name(static_cast<std::size_t>(length), ' ');
    H5Fget_name(object, name.data(), name.size() + 1);
    return name;
  }

  tensor::Shape shape_of(const hdf5::DatasetId& dataset) const {
    const auto space = checked<hdf5::SpaceId>(H5Dget_space(dataset.get()), "asking for a shape");
    const int dimensions = H5Sget_simple_extent_ndims(space.get());
    if (dimensions <= 0) return {};
    std::vector<hsize_t> sizes(static_cast<std::size_t>(dimensions));
    check(H5Sget_simple_extent_dims(space.get(), sizes.data(), nullptr), "asking for a shape");
    return {sizes.begin(), sizes.end()};
  }

  // "int32", "text": what a type is, for messages.
  static std::string words(const hdf5::TypeId& type) {
    const std::size_t bits = 8 * H5Tget_size(type.get());
    const H5T_class_t kind = H5Tget_class(type.get());
    if (kind == H5T_INTEGER)
      return fmt::format("{}int{}", H5Tget_sign(type.get()) == H5T_SGN_NONE ? "u" : "", bits);
    if (kind == H5T_FLOAT) return fmt::format("float{}", bits);
    if (kind == H5T_STRING) return "text";
    if (kind == H5T_ENUM) return "an enumeration";
    return kind == H5T_COMPOUND ? "a compound type" : "neither whole numbers nor floats";
  }

  NumberType number_type(const std::string& name, const hdf5::DatasetId& dataset) const {
    const auto type = checked<hdf5::TypeId>(H5Dget_type(dataset.get()), "asking for a type");
    const std::array<std::pair<hid_t, NumberType>, 6> types = {{{H5T_STD_U8LE, NumberType::uint8},
                                                                {H5T_STD_I8LE, NumberType::int8},
                                                                {H5T_STD_I16LE, NumberType::int16},
                                                                {H5T_STD_I32LE, NumberType::int32},
                                                                {H5T_IEEE_F32LE, NumberType::float32},
                                                                {H5T_IEEE_F64LE, NumberType::float64}}};
    for (const auto& [of_file, number] : types) {
      if (H5Tequal(type.get(), of_file) > 0) return number;
    }
    fail(
        name,
        fmt::format(
            "is {}{} (uint8, int8, int16, int32, float32 and float64 are read, little-endian); write it as float32",
            words(type), H5Tget_order(type.get()) == H5T_ORDER_BE ? ", big-endian" : ""));
  }

  // Where the numbers begin in the file.
  index_t offset_of(const std::string& name, const hdf5::DatasetId& dataset) const {
    const auto properties =
        checked<hdf5::PropertiesId>(H5Dget_create_plist(dataset.get()), "asking for a layout");
    const H5D_layout_t layout = H5Pget_layout(properties.get());
    if (layout != H5D_CONTIGUOUS || H5Pget_external_count(properties.get()) > 0)
      fail(name,
           fmt::format(
               "is stored in {} (rows are read from where they lie, one behind the other); rewrite the file: "
               "h5repack -l CONTI -f NONE {} NEW.h5",
               layout == H5D_COMPACT                   ? "the header"
               : layout == H5D_VIRTUAL                 ? "other data sets"
               : layout == H5D_CONTIGUOUS              ? "other files"
               : H5Pget_nfilters(properties.get()) > 0 ? "compressed chunks"
                                                       : "chunks",
               path_));
    const haddr_t offset = H5Dget_offset(dataset.get());
    if (offset == HADDR_UNDEF) fail(name, "was never written to (it has a shape and no numbers); write it");
    return static_cast<index_t>(offset);
  }

  NumberArray samples(const std::string& name) const {
    const hdf5::DatasetId dataset = open(name);
    const NumberType type = number_type(name, dataset);
    tensor::Shape shape = shape_of(dataset);
    if (shape.empty()) fail(name, "is a single number (samples have rows); write an array");
    if (tensor::element_count(shape) == 0)
      fail(name, fmt::format("is {} (there is no number in it); write one sample at least",
                             tensor::to_string(shape)));
    const index_t offset = offset_of(name, dataset);
    return {name_of(name), type, std::move(shape), files::File(path_, O_RDONLY), offset};
  }

  // h5py writes numpy.bool_ as an enumeration of FALSE = 0 and TRUE = 1.
  static bool is_boolean(const hdf5::TypeId& type) {
    if (H5Tget_class(type.get()) != H5T_ENUM || H5Tget_size(type.get()) != 1 ||
        H5Tget_nmembers(type.get()) != 2)
      return false;
    for (const auto& [word, expected] : {std::pair("FALSE", 0), std::pair("TRUE", 1)}) {
      std::int8_t value = 0;
      if (H5Tenum_valueof(type.get(), word, &value) < 0 || value != expected) return false;
    }
    return true;
  }

  // That an array of one row for each sample can be read, before there is room for it.
  void expect_readable(const std::string& name, const hdf5::DatasetId& dataset, index_t rows) const {
    const tensor::Shape shape = shape_of(dataset);
    if (!shape.empty() && shape[0] != rows)
      fail(name, fmt::format("has {} rows, but the split has {} samples (each needs one); write both again",
                             shape[0], rows));
    const auto properties =
        checked<hdf5::PropertiesId>(H5Dget_create_plist(dataset.get()), "asking for a layout");
    for (int i = 0; i < H5Pget_nfilters(properties.get()); ++i) {
      unsigned flags = 0;
      std::size_t values = 0;
      std::array<char, 64> filter{};
      const H5Z_filter_t id = H5Pget_filter2(properties.get(), static_cast<unsigned>(i), &flags, &values,
                                             nullptr, filter.size() - 1, filter.data(), nullptr);
      if (id < 0 || H5Zfilter_avail(id) > 0) continue;
      fail(
          name,
          fmt::format(
              "is compressed with the filter {} '{}' (this program does not have it); write it without, or with "
              "gzip",
              id, filter.data()));
    }
  }

  // Of any type of whole numbers, stored in any way; the hints say what else to do where it is of none.
  LabelArray whole_numbers(const std::string& name, index_t rows, std::string_view hint = "",
                           std::string_view hint_at_floats = "") const {
    const hdf5::DatasetId dataset = open(name);
    const auto type = checked<hdf5::TypeId>(H5Dget_type(dataset.get()), "asking for a type");
    if (H5Tget_class(type.get()) != H5T_INTEGER && !is_boolean(type))
      fail(name, fmt::format("is {} (whole numbers are read); write it as int64{}{}", words(type), hint,
                             H5Tget_class(type.get()) == H5T_FLOAT ? hint_at_floats : ""));
    const tensor::Shape shape = shape_of(dataset);
    if (shape.size() != 1)
      fail(name, fmt::format("is {} (one number for each sample is read); write it with one dimension",
                             shape.empty() ? "a single number" : tensor::to_string(shape)));
    expect_readable(name, dataset, rows);
    LabelArray array{name_of(name), std::vector<std::int64_t>(as_size(shape[0]))};
    if (is_boolean(type)) {
      std::vector<std::int8_t> values(array.values.size());
      check(H5Dread(dataset.get(), type.get(), H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()),
            "reading data set " + name);
      array.values.assign(values.begin(), values.end());
      return array;
    }
    check(H5Dread(dataset.get(), H5T_NATIVE_INT64, H5S_ALL, H5S_ALL, H5P_DEFAULT, array.values.data()),
          "reading data set " + name);
    // The library makes the largest number of what is larger.
    const bool may_be_larger = H5Tget_size(type.get()) >= 8 && H5Tget_sign(type.get()) == H5T_SGN_NONE;
    const auto largest = std::ranges::find(array.values, std::numeric_limits<std::int64_t>::max());
    if (may_be_larger && largest != array.values.end())
      fail(fmt::format("{}[{}]", name, largest - array.values.begin()),
           "is 9223372036854775807 or more (numbers below are read); number them anew");
    return array;
  }

  // Of any type of numbers, stored in any way.
  RealArray real_numbers(const std::string& name, index_t rows) const {
    const hdf5::DatasetId dataset = open(name);
    const auto type = checked<hdf5::TypeId>(H5Dget_type(dataset.get()), "asking for a type");
    if (H5Tget_class(type.get()) != H5T_INTEGER && H5Tget_class(type.get()) != H5T_FLOAT)
      fail(name, fmt::format("is {} (numbers are read); write it as float64", words(type)));
    RealArray array{name_of(name), shape_of(dataset), {}};
    if (array.shape.empty() || array.shape.size() > 2)
      fail(name, fmt::format("is {} (samples, or samples x numbers, are read); give it another shape",
                             array.shape.empty() ? "a single number" : tensor::to_string(array.shape)));
    expect_readable(name, dataset, rows);
    array.values.resize(as_size(tensor::element_count(array.shape)));
    check(H5Dread(dataset.get(), H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, array.values.data()),
          "reading data set " + name);
    return array;
  }

  std::string path_;
  hdf5::FileId file_;
};

Tables read_tables(const Options& options, const Reading& reading) {
  const hdf5::LibraryLock lock;
  try {
    return TableFile(options.file).tables(reading);
  } catch (const files::Failure& failure) {
    throw DataError(fmt::format("{} cannot be read ({}); it may be truncated: write it again", options.file,
                                failure.what()));
  }
}

}  // namespace

SourceKind hdf5_source() {
  return {.reads_files = true,
          .reads_one_file = true,
          .reads_images = true,
          .divides_files = true,
          .has_real_labels = true,
          .takes_test_samples = true,
          .describe = [](const Options& options) { return options.file; },
          .read_tables = read_tables};
}

}  // namespace switchyard::data::detail
