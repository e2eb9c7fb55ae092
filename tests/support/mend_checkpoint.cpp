// mend_checkpoint [--seal] FILE...: makes a checkpoint that a test has edited (with h5py, say) valid again:
// renews the CRC-32 of every data set and the user block. --seal: the user block only, whatever is behind it.
// Not part of the program, which has no business calling a changed file whole.
#include <fmt/format.h>

#include <cstdio>
#include <exception>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>

#include "checkpoint/detail/file_reader.hpp"
#include "checkpoint/detail/user_block.hpp"
#include "checkpoint/hdf5.hpp"

namespace switchyard::checkpoint::detail {
namespace {

std::map<std::string, std::uint32_t> checksums_of(const std::filesystem::path& file) {
  const FileReader reader(file);
  std::map<std::string, std::uint32_t> checksums;
  for (const Entry& entry : reader.entries()) checksums[entry.path] = reader.computed_crc32(entry);
  return checksums;
}

// A data set that was replaced has lost the attribute: it is made anew.
void write_checksum(const hdf5::FileId& file, const std::string& path, std::uint32_t checksum) {
  const auto dataset =
      hdf5::checked<hdf5::DatasetId>(H5Dopen2(file.get(), path.c_str(), H5P_DEFAULT), "opening " + path);
  if (H5Aexists(dataset.get(), checksum_attribute) > 0)
    hdf5::check(H5Adelete(dataset.get(), checksum_attribute), "removing the old checksum");
  const hdf5::SpaceId space = hdf5::space_of({});
  const auto attribute = hdf5::checked<hdf5::AttributeId>(
      H5Acreate2(dataset.get(), checksum_attribute, H5T_STD_U32LE, space.get(), H5P_DEFAULT, H5P_DEFAULT),
      "creating a checksum");
  hdf5::check(H5Awrite(attribute.get(), H5T_STD_U32LE, &checksum), "writing a checksum");
}

void mend(const std::filesystem::path& path) {
  const auto checksums = checksums_of(path);
  {
    const hdf5::LibraryLock lock;
    const auto file = hdf5::checked<hdf5::FileId>(
        H5Fopen(path.c_str(), H5F_ACC_RDWR, hdf5::file_access().get()), "opening the file");
    for (const auto& [dataset, checksum] : checksums) write_checksum(file, dataset, checksum);
  }
  seal(path);
}

}  // namespace
}  // namespace switchyard::checkpoint::detail

int main(int argc, char** argv) {
  const bool seal_only = argc > 1 && std::string_view(argv[1]) == "--seal";
  const int first = seal_only ? 2 : 1;
  for (int i = first; i < argc; ++i) {
    try {
      if (seal_only)
        switchyard::checkpoint::detail::seal(argv[i]);
      else
        switchyard::checkpoint::detail::mend(argv[i]);
    } catch (const std::exception& error) {
      fmt::print(stderr, "cannot mend '{}' ({})\n", argv[i], error.what());
      return 1;
    }
  }
  return argc > first ? 0 : 2;
}
