// Saving. One rank, the root, writes; the others send it what they hold, piece by piece, in an order that all
// ranks derive from the gathered plan.
//
// A failure on the root does not stop the sending: the root goes on receiving, throws the pieces away, and
// reports at the end. This costs the time of a save in a rare case, and keeps the owners free of waiting for a
// word from the root before each piece.
//
// write_arrays(), where one rank has all and there is no folder of checkpoints, is at the end.

#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <optional>

#include "base/contract.hpp"
#include "base/log.hpp"
#include "base/span.hpp"
#include "checkpoint/checkpoint.hpp"
#include "checkpoint/detail/folder.hpp"
#include "checkpoint/detail/save.hpp"
#include "checkpoint/detail/save_plan.hpp"
#include "checkpoint/detail/user_block.hpp"
#include "comm/agreement.hpp"
#include "files/regular_file.hpp"

namespace switchyard::checkpoint {
namespace {

namespace fs = std::filesystem;
using detail::ArrayPlan;
using detail::Part;
using detail::Piece;
using detail::SavePlan;

// Calls use(part, piece, bytes of the piece) for all pieces of an array, in the order in which they are
// written.
template <class Use>
void for_each_part_piece(const ArrayPlan& array, const Use& use) {
  const index_t unit = detail::element_bytes(array.dtype);
  for (const Part& part : array.parts)
    for (const Piece& piece : detail::cut(array.shape, part.elements, detail::piece_bytes / unit))
      use(part, piece, as_size(piece.elements * unit));
}

// Where a piece of what this rank holds lies in memory.
Span<const std::byte> bytes_of(const Slice& slice, const Piece& piece) {
  const index_t unit = detail::element_bytes(slice.dtype);
  return {slice.data + (piece.first_element - slice.elements.begin) * unit, piece.elements * unit};
}

// The root's side: the file under its temporary name, until it is published or destroyed.
class RootWriter {
 public:
  RootWriter(const fs::path& folder, index_t step, index_t expected, detail::ReserveSpace reserve)
      : temporary_(folder / detail::file_name(step)),
        writer_(temporary_.path(), expected, reserve),
        buffer_(detail::piece_bytes) {}

  void write(const Header& header) { writer_.write(header); }

  // Receives every piece of the plan, also after a failure. Throws the first failure at the end.
  void write(comm::Communicator& communicator, const SavePlan& plan, Span<const Slice> slices) {
    std::exception_ptr failure;
    const auto attempt = [&](const auto& action) {
      if (failure) return;
      try {
        action();
      } catch (...) {  // whatever it is, nobody may be left sending
        failure = std::current_exception();
      }
    };
    for (const ArrayPlan& array : plan.arrays) {
      attempt([&] { writer_.begin_array(array.path, array.dtype, array.shape); });
      for_each_part_piece(array, [&](const Part& part, const Piece& piece, std::size_t bytes) {
        if (part.owner == communicator.rank()) {
          attempt([&] { writer_.append(piece, bytes_of(slices[part.slice], piece)); });
        } else {
          const auto received = Span(buffer_).first(bytes);
          communicator.receive(received, part.owner);
          attempt([&] { writer_.append(piece, received); });
        }
      });
      attempt([&] { writer_.end_array(); });
    }
    if (failure) std::rethrow_exception(failure);
  }

  void publish(const fs::path& folder, index_t step, const SaveOptions& options) {
    writer_.close();
    detail::seal(temporary_.path());
    detail::publish(temporary_, folder, step, options);
  }

 private:
  files::TemporaryName temporary_;  // destroyed last: removes the name after the writer has let go
  detail::FileWriter writer_;
  Vector<std::byte> buffer_;
};

// The other ranks' side.
void send_pieces(comm::Communicator& communicator, const SavePlan& plan, Span<const Slice> slices) {
  for (const ArrayPlan& array : plan.arrays)
    for_each_part_piece(array, [&](const Part& part, const Piece& piece, std::size_t) {
      if (part.owner != communicator.rank()) return;
      communicator.send(bytes_of(slices[part.slice], piece), GroupRank{0});
    });
}

void write_file(const fs::path& file, const Header& header, Span<const MadeArray> arrays,
                std::string_view mark) {
  index_t expected = 1 << 16;
  for (const MadeArray& array : arrays)
    expected += tensor::element_count(array.shape) * detail::element_bytes(array.dtype);
  // Several processes may write one file, each a whole one.
  files::TemporaryName temporary(file, files::suffix_of_process());
  std::error_code ignored;
  fs::remove(temporary.path(), ignored);  // of a process that was killed
  detail::FileWriter writer(temporary.path(), expected, detail::ReserveSpace::yes);
  writer.write(header);
  Vector<std::byte> buffer(detail::piece_bytes);
  for (const MadeArray& array : arrays) {
    writer.begin_array(array.path, array.dtype, array.shape);
    const index_t unit = detail::element_bytes(array.dtype);
    for (const Piece& piece : detail::cut(array.shape, all_elements(array.shape), detail::piece_bytes / unit)) {
      const auto bytes = Span(buffer).first(piece.elements * unit);
      array.make({piece.first_element, piece.first_element + piece.elements}, bytes);
      writer.append(piece, bytes);
    }
    writer.end_array();
  }
  writer.close();
  detail::seal(temporary.path(), mark);
  temporary.publish();
}

void check_folder(const fs::path& folder) {
  std::error_code error;
  if (fs::is_directory(folder, error)) return;
  throw detail::Failure(fs::exists(folder, error) ? fmt::format("'{}' is not a folder", folder.string())
                                                  : fmt::format("there is no folder '{}'", folder.string()));
}

[[noreturn]] void throw_unwritable(const fs::path& folder, index_t step, index_t needed,
                                   const std::string& reason) {
  std::error_code error;
  const fs::space_info space = fs::space(folder, error);
  throw DataError(
      fmt::format("cannot write the checkpoint '{}' ({}; it needs {} bytes, {} bytes are free); see that the "
                  "folder exists, can be written and has space, then `switchyard resume`",
                  (folder / detail::file_name(step)).string(), reason, needed,
                  error ? "an unknown number of" : fmt::format("{}", space.available)));
}

// The checkpoint is published: what fails from here on is not worth ending a run.
void remove_old_or_warn(const fs::path& folder, index_t step, index_t keep_last) {
  try {
    detail::remove_old(folder, step, keep_last);
  } catch (const fs::filesystem_error& error) {
    log::warn("cannot look for old checkpoints in '{}' ({}); remove them by hand", folder.string(),
              error.what());
  }
}

}  // namespace

void detail::save(comm::Communicator& communicator, const fs::path& folder, const Snapshot& snapshot,
                  const SaveOptions& options, ReserveSpace reserve) {
  const index_t step = snapshot.step;
  const Header& header = snapshot.header;
  const Span<const Slice> slices = snapshot.slices;
  const SavePlan plan = gather_save_plan(communicator, slices);
  const index_t needed = expected_file_bytes(plan, header);
  std::optional<RootWriter> writer;  // on the root
  const auto on_disk = [&](const auto& action) {
    try {
      try {
        action();
      } catch (...) {
        writer.reset();  // before the others hear of it, so that the folder is as it was when they throw
        throw;
      }
    } catch (const Failure& failure) {
      throw_unwritable(folder, step, needed, failure.what());
    } catch (const fs::filesystem_error& error) {
      throw_unwritable(folder, step, needed, error.what());
    }
  };

  comm::agree(communicator, [&] {
    SY_EXPECTS(step >= 0, "step {}", step);
    SY_EXPECTS(options.keep_last >= 1, "keep_last is {}", options.keep_last);
    for (const Slice& slice : slices)
      SY_EXPECTS(slice.data != nullptr || slice.elements.empty(), "'{}' has no data", slice.path);
    if (!communicator.is_root()) return;
    check_paths(plan, header);
    on_disk([&] {
      check_folder(folder);
      files::expect_replaceable(folder / file_name(step), "", "--run.dir=PATH");
      remove_leftovers(folder);
      writer.emplace(folder, step, needed, reserve);
      writer->write(header);
    });
  });
  // Not under agree(): the root waits for every piece, so an owner that fails must end it, not wait for its
  // word.
  if (!communicator.is_root()) send_pieces(communicator, plan, slices);
  comm::agree(communicator, [&] {
    if (!communicator.is_root()) return;
    on_disk([&] {
      writer->write(communicator, plan, slices);
      writer->publish(folder, step, options);
    });
    remove_old_or_warn(folder, step, options.keep_last);
  });
}

void save(comm::Communicator& communicator, const fs::path& folder, const Snapshot& snapshot,
          const SaveOptions& options) {
  detail::save(communicator, folder, snapshot, options, detail::ReserveSpace::yes);
}

void write_arrays(const fs::path& file, const Header& header, Span<const Slice> arrays, std::string_view mark) {
  std::vector<MadeArray> made;
  for (const Slice& array : arrays) {
    const index_t unit = detail::element_bytes(array.dtype);
    made.push_back(
        {array.path, array.dtype, array.shape, [&array, unit](IndexRange elements, Span<std::byte> bytes) {
           std::copy_n(array.data + elements.begin * unit, bytes.size(), bytes.begin());
         }});
  }
  write_arrays(file, header, Span<const MadeArray>(made), mark);
}

void write_arrays(const fs::path& file, const Header& header, Span<const MadeArray> arrays,
                  std::string_view mark) {
  try {
    write_file(file, header, arrays, mark);
  } catch (const detail::Failure& failure) {
    throw DataError(
        fmt::format("cannot write '{}' ({}); see that its folder exists, can be written and has space",
                    file.string(), failure.what()));
  }
}

}  // namespace switchyard::checkpoint
