#include "checkpoint/detail/file_reader.hpp"

#include <fcntl.h>
#include <fmt/format.h>

#include <algorithm>

#include "base/error.hpp"
#include "base/hash.hpp"
#include "base/span.hpp"

namespace switchyard::checkpoint::detail {

void throw_unreadable(const std::filesystem::path& file, const std::string& reason, std::string_view mark) {
  if (mark != file_mark)
    throw DataError(fmt::format("cannot use '{}' ({}); make it again, or name another", file.string(), reason));
  throw DataError(fmt::format(
      "cannot use the checkpoint '{}' ({}); check its path, or, if it is damaged, take an older one of the "
      "run (`switchyard verify` tells which are whole)",
      file.string(), reason));
}

FileReader::FileReader(const std::filesystem::path& file, std::string_view mark)
    : path_(file), mark_(mark), file_(file, O_RDONLY), entries_(contents_of(file_)) {}

const Entry* FileReader::find(std::string_view path) const {
  const auto at = std::ranges::lower_bound(entries_, path, {}, &Entry::path);
  return at != entries_.end() && at->path == path ? &*at : nullptr;
}

std::string FileReader::digest() const {
  std::array<std::byte, user_block_bytes> head;
  file_.read_at(0, head);
  return hex(decode(head, mark_).digest);
}

void FileReader::read_elements(const Entry& entry, IndexRange elements, std::byte* data) const {
  if (elements.empty()) return;
  const index_t unit = element_bytes(entry.dtype);
  file_.read_at(entry.offset + elements.begin * unit, Span(data, elements.size() * unit));
}

void FileReader::read_piece(const Entry& entry, const Piece& piece, std::byte* data) const {
  read_elements(entry, {piece.first_element, piece.first_element + piece.elements}, data);
}

void FileReader::for_each_piece(const Entry& entry,
                                const std::function<void(const Piece&, Span<const std::byte>)>& use) const {
  const index_t unit = element_bytes(entry.dtype);
  Vector<std::byte> buffer(std::min(entry.bytes(), piece_bytes));
  for (const Piece& piece : cut(entry.shape, all_elements(entry.shape), piece_bytes / unit)) {
    read_piece(entry, piece, buffer.data());
    use(piece, Span(buffer).first(piece.elements * unit));
  }
}

std::string FileReader::raw_text(const Entry& entry) const {
  std::string text(as_size(entry.text_bytes), '\0');
  file_.read_at(entry.offset, std::as_writable_bytes(Span(text)));
  return text;
}

std::string FileReader::read_text(const Entry& entry) const {
  std::string text = raw_text(entry);
  text.erase(text.find_last_not_of('\0') + 1);
  return text;
}

std::uint32_t FileReader::stored_crc32(const Entry& entry) const {
  if (!entry.crc32) throw Failure(fmt::format("'{}' has no attribute {}", entry.path, checksum_attribute));
  return *entry.crc32;
}

std::uint32_t FileReader::computed_crc32(const Entry& entry) const {
  if (entry.kind == Entry::Kind::text) {
    const std::string text = raw_text(entry);
    return crc32(std::as_bytes(Span(text)));
  }
  std::uint32_t crc = 0;
  for_each_piece(entry, [&](const Piece&, Span<const std::byte> bytes) { crc = crc32(bytes, crc); });
  return crc;
}

}  // namespace switchyard::checkpoint::detail
