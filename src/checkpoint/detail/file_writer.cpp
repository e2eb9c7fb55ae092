#include "checkpoint/detail/file_writer.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <bit>
#include <cerrno>
#include <string_view>
#include <system_error>
#include <vector>

#include "base/contract.hpp"
#include "base/hash.hpp"
#include "checkpoint/detail/contents.hpp"
#include "checkpoint/detail/user_block.hpp"

namespace switchyard::checkpoint::detail {
namespace {

static_assert(std::endian::native == std::endian::little, "types in the file are those in memory");

// Not owned.
hid_t type_id(DType dtype) {
  switch (dtype) {
    case DType::float32:
      return H5T_IEEE_F32LE;
    case DType::float64:
      return H5T_IEEE_F64LE;
    case DType::int64:
      return H5T_STD_I64LE;
    case DType::uint8:
      return H5T_STD_U8LE;
    case DType::uint16:
      return H5T_STD_U16LE;
    case DType::uint32:
      return H5T_STD_U32LE;
    case DType::int8:
      return H5T_STD_I8LE;
    case DType::int16:
      return H5T_STD_I16LE;
    case DType::int32:
      return H5T_STD_I32LE;
  }
  return H5I_INVALID_HID;
}

// A fixed-length UTF-8 text, padded with NUL.
hdf5::TypeId text_type(std::size_t bytes) {
  auto type = hdf5::checked<hdf5::TypeId>(H5Tcopy(H5T_C_S1), "creating a text type");
  hdf5::check(H5Tset_size(type.get(), bytes), "setting the size of a text");
  hdf5::check(H5Tset_strpad(type.get(), H5T_STR_NULLPAD), "setting the padding of a text");
  hdf5::check(H5Tset_cset(type.get(), H5T_CSET_UTF8), "setting the characters of a text");
  return type;
}

// Selects the box of `piece` in the space of its array.
void select(const hdf5::SpaceId& space, const Piece& piece) {
  if (piece.count.empty()) return;  // a scalar is always selected whole
  const std::vector<hsize_t> start(piece.start.begin(), piece.start.end());
  const std::vector<hsize_t> count(piece.count.begin(), piece.count.end());
  hdf5::check(H5Sselect_hyperslab(space.get(), H5S_SELECT_SET, start.data(), nullptr, count.data(), nullptr),
              "selecting rows");
}

// For the current errno: "what: No space left on device".
[[noreturn]] void fail_with_errno(std::string_view what) {
  throw Failure(fmt::format("{}: {}", what, std::generic_category().message(errno)));
}

// Modification times would make two files of the same content differ.
void omit_times(const hdf5::PropertiesId& properties) {
  hdf5::check(H5Pset_obj_track_times(properties.get(), false), "switching object times off");
}

void write_attribute(const hdf5::DatasetId& dataset, const char* name, hid_t type, const void* value) {
  const hdf5::SpaceId space = hdf5::space_of({});
  const auto attribute = hdf5::checked<hdf5::AttributeId>(
      H5Acreate2(dataset.get(), name, type, space.get(), H5P_DEFAULT, H5P_DEFAULT), "creating an attribute");
  hdf5::check(H5Awrite(attribute.get(), type, value), "writing an attribute");
}

// Closing can write, so it can fail.
void close_dataset(hdf5::DatasetId& dataset, const std::string& path) {
  hdf5::check(H5Dclose(dataset.release()), fmt::format("closing data set '{}'", path));
}

}  // namespace

FileWriter::FileWriter(const std::filesystem::path& file, index_t expected_bytes, ReserveSpace space)
    : path_(file) {
  {
    const hdf5::LibraryLock lock;
    auto file_creation =
        hdf5::checked<hdf5::PropertiesId>(H5Pcreate(H5P_FILE_CREATE), "creating file properties");
    hdf5::check(H5Pset_userblock(file_creation.get(), user_block_bytes), "making room for the user block");
    omit_times(file_creation);  // of the root group
    group_creation_ =
        hdf5::checked<hdf5::PropertiesId>(H5Pcreate(H5P_GROUP_CREATE), "creating group properties");
    omit_times(group_creation_);
    dataset_creation_ =
        hdf5::checked<hdf5::PropertiesId>(H5Pcreate(H5P_DATASET_CREATE), "creating data set properties");
    omit_times(dataset_creation_);
    hdf5::check(H5Pset_layout(dataset_creation_.get(), H5D_CONTIGUOUS), "choosing the layout");
    hdf5::check(H5Pset_alloc_time(dataset_creation_.get(), H5D_ALLOC_TIME_EARLY), "choosing early allocation");
    hdf5::check(H5Pset_fill_time(dataset_creation_.get(), H5D_FILL_TIME_NEVER), "switching filling off");
    file_ = hdf5::checked<hdf5::FileId>(
        H5Fcreate(file.c_str(), H5F_ACC_EXCL, file_creation.get(), hdf5::file_access().get()),
        "creating the file");
  }
  try {
    if (space == ReserveSpace::yes) reserve(expected_bytes);
  } catch (...) {
    abandon();
    throw;
  }
}

FileWriter::~FileWriter() {
  if (!closed_) abandon();
  const hdf5::LibraryLock lock;
  group_creation_.reset();
  dataset_creation_.reset();
}

// Beyond the end of the file (FALLOC_FL_KEEP_SIZE), since its size is the library's to set. posix_fallocate
// would set it, and would write to every block where the file system knows no reservation.
void FileWriter::reserve(index_t bytes) {
  const files::File file(path_, O_WRONLY);
  int status = 0;
  do status = ::fallocate(file.descriptor(), FALLOC_FL_KEEP_SIZE, 0, bytes);
  while (status != 0 && errno == EINTR);
  if (status == 0 || errno == EOPNOTSUPP || errno == EINVAL || errno == ENOSYS) return;
  fail_with_errno("reserving space");
}

void FileWriter::create_groups_above(const std::string& path) {
  for (std::size_t slash = path.find('/'); slash != std::string::npos; slash = path.find('/', slash + 1)) {
    const std::string group = path.substr(0, slash);
    if (!groups_.insert(group).second) continue;
    // Not left to H5Pset_create_intermediate_group: groups made by it carry times.
    const auto id = hdf5::checked<hdf5::GroupId>(
        H5Gcreate2(file_.get(), group.c_str(), H5P_DEFAULT, group_creation_.get(), H5P_DEFAULT),
        fmt::format("creating group '{}'", group));
  }
}

hdf5::DatasetId FileWriter::create(const std::string& path, hid_t type, const tensor::Shape& shape) {
  create_groups_above(path);
  const hdf5::SpaceId space = hdf5::space_of(shape);
  return hdf5::checked<hdf5::DatasetId>(H5Dcreate2(file_.get(), path.c_str(), type, space.get(), H5P_DEFAULT,
                                                   dataset_creation_.get(), H5P_DEFAULT),
                                        fmt::format("creating data set '{}'", path));
}

void FileWriter::write_header_value(const std::string& path, hid_t type, Span<const std::byte> bytes) {
  hdf5::DatasetId dataset = create(path, type, {});
  hdf5::check(H5Dwrite(dataset.get(), type, H5S_ALL, H5S_ALL, H5P_DEFAULT, bytes.data()),
              fmt::format("writing '{}'", path));
  const std::uint32_t crc = crc32(bytes);
  const std::uint8_t yes = 1;
  write_attribute(dataset, checksum_attribute, H5T_STD_U32LE, &crc);
  write_attribute(dataset, header_attribute, H5T_STD_U8LE, &yes);
  close_dataset(dataset, path);
}

void FileWriter::write(const std::string& path, std::int64_t value) {
  const hdf5::LibraryLock lock;
  write_header_value(path, type_id(DType::int64), std::as_bytes(Span(&value, 1)));
}

void FileWriter::write(const std::string& path, double value) {
  const hdf5::LibraryLock lock;
  write_header_value(path, type_id(DType::float64), std::as_bytes(Span(&value, 1)));
}

void FileWriter::write(const std::string& path, const std::string& text) {
  const hdf5::LibraryLock lock;
  const std::string stored = text.empty() ? std::string(1, '\0') : text;  // HDF5 has no text of size zero
  const hdf5::TypeId type = text_type(stored.size());
  write_header_value(path, type.get(), std::as_bytes(Span(stored)));
}

void FileWriter::write(const Header& header) {
  write("schema_version", std::int64_t{schema_version});
  for (const auto& [path, value] : header.integers) write(path, value);
  for (const auto& [path, value] : header.numbers) write(path, value);
  for (const auto& [path, text] : header.texts) write(path, text);
}

void FileWriter::begin_array(const std::string& path, DType dtype, const tensor::Shape& shape) {
  SY_EXPECTS(!array_, "'{}' begins before '{}' has ended", path, array_path_);
  const hdf5::LibraryLock lock;
  array_path_ = path;
  array_type_ = type_id(dtype);
  array_crc32_ = 0;
  array_ = create(path, array_type_, shape);
}

void FileWriter::append(const Piece& piece, Span<const std::byte> data) {
  array_crc32_ = crc32(data, array_crc32_);
  const hdf5::LibraryLock lock;
  const auto in_file = hdf5::checked<hdf5::SpaceId>(H5Dget_space(array_.get()), "asking for a space");
  select(in_file, piece);
  const hdf5::SpaceId in_memory = hdf5::space_of({piece.elements});
  hdf5::check(H5Dwrite(array_.get(), array_type_, in_memory.get(), in_file.get(), H5P_DEFAULT, data.data()),
              fmt::format("writing '{}'", array_path_));
}

void FileWriter::end_array() {
  const hdf5::LibraryLock lock;
  write_attribute(array_, checksum_attribute, H5T_STD_U32LE, &array_crc32_);
  close_dataset(array_, array_path_);
}

void FileWriter::close() {
  SY_EXPECTS(!array_, "closed before '{}' has ended", array_path_);
  const hdf5::LibraryLock lock;
  // release(): if this fails, the id is never touched again. A second H5Fclose, or H5close, can crash then.
  hdf5::check(H5Fclose(file_.release()), "closing the file");
  // The library has set the size, but not always given back what was reserved beyond it.
  if (::truncate(path_.c_str(), static_cast<off_t>(std::filesystem::file_size(path_))) != 0)
    fail_with_errno("giving back reserved space");
  closed_ = true;
}

// On the way out of a failure. Cutting the file to nothing frees its space at once, also if the library should
// keep its descriptor open; and with space free again, the library can write what it still holds and let go of
// the file.
void FileWriter::abandon() noexcept {
  if (::truncate(path_.c_str(), 0) != 0)
    log::debug("cannot cut '{}' to nothing (errno {})", path_.string(), errno);
  const hdf5::LibraryLock lock;
  array_.reset();
  file_.reset();
}

}  // namespace switchyard::checkpoint::detail
