#include "checkpoint/hdf5.hpp"

#include <fmt/format.h>

#include <string_view>
#include <vector>

#include "checkpoint/checkpoint.hpp"
#include "files/file.hpp"

namespace switchyard::checkpoint::hdf5 {
namespace {

std::mutex& library_mutex() {
  static std::mutex mutex;
  return mutex;
}

// A failed write reads "file write failed: time = ..., filename = ..., errno = 28, error message = 'No space
// left on device', buf = 0x...": keeps the first words and the system's own.
std::string shortened(std::string_view message) {
  constexpr std::string_view marker = "error message = '";
  const std::size_t quote = message.find(marker);
  if (quote == std::string_view::npos) return std::string(message);
  const std::size_t begin = quote + marker.size();
  const std::size_t end = message.find('\'', begin);
  return fmt::format("{}: {}", message.substr(0, message.find(':')), message.substr(begin, end - begin));
}

herr_t keep_innermost(unsigned position, const H5E_error2_t* error, void* text) {
  if (position == 0 && error->desc != nullptr) *static_cast<std::string*>(text) = error->desc;
  return 0;
}

}  // namespace

LibraryLock::LibraryLock() : lock_(library_mutex()) {
  static const bool no_work_at_exit = H5dont_atexit() >= 0;  // before the library's first other call
  static_cast<void>(no_work_at_exit);
  H5Eset_auto2(H5E_DEFAULT, nullptr,
               nullptr);  // per thread where the library has thread safety; we print its errors
}

void fail_in_library(const std::string& what) {
  std::string message;
  H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, keep_innermost, &message);
  throw files::Failure(
      fmt::format("{}: {}", what, message.empty() ? "HDF5 gives no reason" : shortened(message)));
}

PropertiesId file_access() {
  auto access = checked<PropertiesId>(H5Pcreate(H5P_FILE_ACCESS), "creating file properties");
  check(H5Pset_libver_bounds(access.get(), H5F_LIBVER_V110, H5F_LIBVER_V110), "choosing format v110");
  check(H5Pset_file_locking(access.get(), false, true), "switching file locks off");
  return access;
}

SpaceId space_of(const tensor::Shape& shape) {
  if (shape.empty()) return checked<SpaceId>(H5Screate(H5S_SCALAR), "creating a scalar space");
  const std::vector<hsize_t> dims(shape.begin(), shape.end());
  return checked<SpaceId>(H5Screate_simple(static_cast<int>(dims.size()), dims.data(), nullptr),
                          "creating a space");
}

}  // namespace switchyard::checkpoint::hdf5

namespace switchyard::checkpoint {

std::string hdf5_library() {
  const hdf5::LibraryLock lock;
  unsigned major = 0, minor = 0, release = 0;
  hdf5::check(H5get_libversion(&major, &minor, &release), "asking for the library's version");
  return fmt::format("HDF5 {}.{}.{}", major, minor, release);
}

}  // namespace switchyard::checkpoint
