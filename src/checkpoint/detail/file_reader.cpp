#include "checkpoint/detail/file_reader.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "base/hash.hpp"
#include "checkpoint/detail/posix_file.hpp"

namespace switchyard::checkpoint::detail {
namespace {

// Called by the library for each object below the root; no exception may pass through it.
herr_t collect_dataset(hid_t, const char* name, const H5O_info_t* info, void* paths) noexcept {
  if (info->type == H5O_TYPE_DATASET) static_cast<std::vector<std::string>*>(paths)->emplace_back(name);
  return 0;
}

std::vector<std::string> dataset_paths(const FileId& file) {
  std::vector<std::string> paths;
  check(H5Ovisit2(file.get(), H5_INDEX_NAME, H5_ITER_INC, collect_dataset, &paths, H5O_INFO_BASIC),
        "listing the data sets");
  std::sort(paths.begin(), paths.end());
  return paths;
}

DatasetId open_dataset(const FileId& file, const std::string& path) {
  return checked<DatasetId>(H5Dopen2(file.get(), path.c_str(), H5P_DEFAULT), fmt::format("opening '{}'", path));
}

std::optional<DType> dtype_of(const TypeId& type) {
  for (const DType candidate : {DType::float32, DType::float64, DType::int64})
    if (H5Tequal(type.get(), type_id(candidate)) > 0) return candidate;
  return std::nullopt;
}

bool is_fixed_text(const TypeId& type) {
  return H5Tget_class(type.get()) == H5T_STRING && H5Tis_variable_str(type.get()) == 0;
}

tensor::Shape shape_of(const DatasetId& dataset) {
  const auto space = checked<SpaceId>(H5Dget_space(dataset.get()), "asking for a space");
  const int dimensions = H5Sget_simple_extent_ndims(space.get());
  check(dimensions, "asking for a shape");
  std::vector<hsize_t> extents(static_cast<std::size_t>(dimensions));
  check(H5Sget_simple_extent_dims(space.get(), extents.data(), nullptr), "asking for a shape");
  return {extents.begin(), extents.end()};
}

}  // namespace

FileReader::FileReader(const std::filesystem::path& file) : path_(file) {
  const LibraryLock lock;
  file_ = checked<FileId>(H5Fopen(file.c_str(), H5F_ACC_RDONLY, file_access().get()), "opening the file");
  try {
    for (const std::string& path : dataset_paths(file_)) entries_.push_back(describe(path));
  } catch (...) {
    file_.reset();  // under the lock
    throw;
  }
}

FileReader::~FileReader() {
  const LibraryLock lock;
  file_.reset();
}

Entry FileReader::describe(const std::string& path) const {
  const DatasetId dataset = open_dataset(file_, path);
  const auto type = checked<TypeId>(H5Dget_type(dataset.get()), "asking for a type");
  Entry entry;
  entry.path = path;
  entry.shape = shape_of(dataset);
  if (is_fixed_text(type) && entry.shape.empty()) {
    entry.kind = Entry::Kind::text;
    entry.text_bytes = static_cast<index_t>(H5Tget_size(type.get()));
    return entry;
  }
  const std::optional<DType> dtype = dtype_of(type);
  if (!dtype)
    throw Failure(fmt::format("'{}' is none of float32, float64, int64 and a text of fixed size", path));
  entry.dtype = *dtype;
  const bool in_header = H5Aexists(dataset.get(), header_attribute) > 0;
  entry.kind = in_header ? Entry::Kind::header_value : Entry::Kind::array;
  return entry;
}

const Entry* FileReader::find(std::string_view path) const {
  const auto at =
      std::lower_bound(entries_.begin(), entries_.end(), path,
                       [](const Entry& entry, std::string_view wanted) { return entry.path < wanted; });
  return at != entries_.end() && at->path == path ? &*at : nullptr;
}

void FileReader::read_rows(const Entry& entry, RowRange range, std::byte* data) const {
  const index_t elements = entry.elements();
  if (elements == 0 || range.rows == 0) return;
  Piece piece;  // all rows at once: they go straight to where the caller wants them
  if (!entry.shape.empty()) {
    piece.start.assign(entry.shape.size(), 0);
    piece.start[0] = range.first_row;
    piece.count = entry.shape;
    piece.count[0] = range.rows;
  }
  piece.elements = entry.shape.empty() ? 1 : elements / entry.shape[0] * range.rows;
  read_piece(entry, piece, data);
}

void FileReader::read_piece(const Entry& entry, const Piece& piece, std::byte* data) const {
  const LibraryLock lock;
  const DatasetId dataset = open_dataset(file_, entry.path);
  const SpaceId in_file = space_of(entry.shape);
  select(in_file, piece);
  const SpaceId in_memory = memory_space(piece);
  check(H5Dread(dataset.get(), type_id(entry.dtype), in_memory.get(), in_file.get(), H5P_DEFAULT, data),
        fmt::format("reading '{}'", entry.path));
}

void FileReader::for_each_piece(
    const Entry& entry, const std::function<void(const Piece&, std::span<const std::byte>)>& use) const {
  const index_t unit = element_bytes(entry.dtype);
  std::vector<std::byte> buffer(static_cast<std::size_t>(std::min(entry.bytes(), piece_bytes)));
  for (const Piece& piece : cut(entry.shape, all_rows(entry.shape), piece_bytes / unit)) {
    read_piece(entry, piece, buffer.data());
    use(piece, std::span(buffer).first(static_cast<std::size_t>(piece.elements * unit)));
  }
}

std::string FileReader::raw_text(const Entry& entry) const {
  const LibraryLock lock;
  const DatasetId dataset = open_dataset(file_, entry.path);
  const auto type = checked<TypeId>(H5Dget_type(dataset.get()), "asking for a type");
  std::string text(static_cast<std::size_t>(entry.text_bytes), '\0');
  check(H5Dread(dataset.get(), type.get(), H5S_ALL, H5S_ALL, H5P_DEFAULT, text.data()),
        fmt::format("reading '{}'", entry.path));
  return text;
}

std::string FileReader::read_text(const Entry& entry) const {
  std::string text = raw_text(entry);
  text.erase(text.find_last_not_of('\0') + 1);
  return text;
}

std::int64_t FileReader::read_integer(const Entry& entry) const {
  std::int64_t value = 0;
  read_rows(entry, all_rows(entry.shape), reinterpret_cast<std::byte*>(&value));
  return value;
}

double FileReader::read_number(const Entry& entry) const {
  double value = 0;
  read_rows(entry, all_rows(entry.shape), reinterpret_cast<std::byte*>(&value));
  return value;
}

std::uint32_t FileReader::stored_crc32(const Entry& entry) const {
  const LibraryLock lock;
  const DatasetId dataset = open_dataset(file_, entry.path);
  const auto attribute =
      checked<AttributeId>(H5Aopen(dataset.get(), checksum_attribute, H5P_DEFAULT),
                           fmt::format("looking for the attribute {} of '{}'", checksum_attribute, entry.path));
  std::uint32_t value = 0;
  check(H5Aread(attribute.get(), H5T_STD_U32LE, &value),
        fmt::format("reading the checksum of '{}'", entry.path));
  return value;
}

std::uint32_t FileReader::computed_crc32(const Entry& entry) const {
  if (entry.kind == Entry::Kind::text) {
    const std::string text = raw_text(entry);
    return crc32(std::as_bytes(std::span(text)));
  }
  std::uint32_t crc = 0;
  for_each_piece(entry, [&](const Piece&, std::span<const std::byte> bytes) { crc = crc32(bytes, crc); });
  return crc;
}

}  // namespace switchyard::checkpoint::detail
