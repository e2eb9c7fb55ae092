#include <fmt/format.h>

#include "checkpoint/checkpoint.hpp"
#include "checkpoint/detail/file_writer.hpp"
#include "checkpoint/detail/publish.hpp"
#include "checkpoint/detail/user_block.hpp"

namespace switchyard::checkpoint {
namespace {

namespace fs = std::filesystem;

index_t bytes_of(const Slice& slice) {
  return tensor::element_count(slice.shape) * detail::element_bytes(slice.dtype);
}

void write_whole(const fs::path& file, const Header& header, Span<const Slice> arrays) {
  index_t expected = 1 << 16;
  for (const Slice& array : arrays) expected += bytes_of(array);
  // Several processes may write one file, each a whole one.
  files::TemporaryName temporary(file, files::suffix_of_process());
  std::error_code ignored;
  fs::remove(temporary.path(), ignored);  // of a process that was killed
  detail::FileWriter writer(temporary.path(), expected, detail::ReserveSpace::yes);
  writer.write(header);
  for (const Slice& array : arrays) {
    const index_t unit = detail::element_bytes(array.dtype);
    writer.begin_array(array.path, array.dtype, array.shape);
    for (const detail::Piece& piece : detail::cut(array.shape, {0, array.rows}, detail::piece_bytes / unit)) {
      writer.append(piece, {array.data + piece.first_element * unit, piece.elements * unit});
    }
    writer.end_array();
  }
  writer.close();
  detail::seal(temporary.path(), arrays_mark);
  temporary.publish();
}

}  // namespace

void write_arrays(const fs::path& file, const Header& header, Span<const Slice> arrays) {
  try {
    write_whole(file, header, arrays);
  } catch (const detail::Failure& failure) {
    throw DataError(
        fmt::format("cannot write '{}' ({}); see that its folder exists, can be written and has space",
                    file.string(), failure.what()));
  }
}

}  // namespace switchyard::checkpoint
