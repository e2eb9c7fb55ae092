// Reading and verifying.

#include <fmt/format.h>

#include "base/contract.hpp"
#include "checkpoint/checkpoint.hpp"
#include "checkpoint/detail/file_reader.hpp"
#include "comm/agreement.hpp"

namespace switchyard::checkpoint {
namespace {

namespace fs = std::filesystem;
using detail::Entry;
using detail::FileReader;

void verify_or_throw(const fs::path& file, std::string_view mark = file_mark) {
  detail::reading(
      file, [&] { detail::verify_bytes(file, mark); }, mark);
}

std::unique_ptr<FileReader> open(const fs::path& file, std::string_view mark = file_mark) {
  return detail::reading(
      file, [&] { return std::make_unique<FileReader>(file, mark); }, mark);
}

template <class Action>
decltype(auto) reading(const FileReader& file, Action&& action) {
  return detail::reading(file.path(), std::forward<Action>(action), file.mark());
}

std::string describe(DType dtype, const tensor::Shape& shape) {
  return fmt::format("{} {}", detail::name(dtype), tensor::to_string(shape));
}

std::string describe(const Entry& entry) {
  return entry.kind == Entry::Kind::text ? "a text" : describe(entry.dtype, entry.shape);
}

// The entry of this name; it must be as `wanted` says, which goes into the message.
template <class Condition>
const Entry& entry_of(const FileReader& file, const std::string& path, const std::string& wanted,
                      const Condition& condition) {
  const Entry* entry = file.find(path);
  if (entry == nullptr || !condition(*entry))
    throw DataError(fmt::format(
        "the {} '{}' has no '{}' that is {} ({}); {}", detail::name_of(file.mark()), file.path().string(), path,
        wanted, entry == nullptr ? "it has nothing of this name" : "it is " + describe(*entry),
        file.mark() == file_mark ? "`switchyard inspect` lists what it holds: resume with the configuration "
                                   "that it was written with"
                                 : "make it again"));
  return *entry;
}

const Entry& scalar_of(const FileReader& file, const std::string& path, DType dtype) {
  return entry_of(file, path, describe(dtype, {}), [&](const Entry& entry) {
    return entry.kind != Entry::Kind::text && entry.dtype == dtype && entry.shape.empty();
  });
}

}  // namespace

Reader::Reader(const fs::path& file, std::string_view mark) {
  verify_or_throw(file, mark);
  file_ = open(file, mark);
}

Reader::Reader(comm::Communicator& communicator, const fs::path& file) {
  comm::agree(communicator, [&] {
    if (communicator.is_root()) verify_or_throw(file);
  });
  comm::agree(communicator, [&] { file_ = open(file); });
}

Reader::~Reader() = default;
Reader::Reader(Reader&&) noexcept = default;

std::int64_t Reader::integer(const std::string& path) const {
  const Entry& entry = scalar_of(*file_, path, DType::int64);
  return reading(*file_, [&] { return file_->read_number<std::int64_t>(entry); });
}

double Reader::number(const std::string& path) const {
  const Entry& entry = scalar_of(*file_, path, DType::float64);
  return reading(*file_, [&] { return file_->read_number<double>(entry); });
}

std::string Reader::text(const std::string& path) const {
  const Entry& entry =
      entry_of(*file_, path, "a text", [](const Entry& found) { return found.kind == Entry::Kind::text; });
  return reading(*file_, [&] { return file_->read_text(entry); });
}

bool Reader::contains(const std::string& path) const { return file_->find(path) != nullptr; }

std::string Reader::digest() const {
  return reading(*file_, [&] { return file_->digest(); });
}

std::vector<Slice> Reader::arrays() const {
  std::vector<Slice> arrays;
  for (const Entry& entry : file_->entries())
    if (entry.kind == Entry::Kind::array)
      arrays.push_back({entry.path, entry.dtype, entry.shape, all_elements(entry.shape), nullptr});
  return arrays;
}

void Reader::read(const Slice& slice) const {
  const Entry& entry =
      entry_of(*file_, slice.path, describe(slice.dtype, slice.shape), [&](const Entry& found) {
        return found.kind != Entry::Kind::text && found.dtype == slice.dtype && found.shape == slice.shape;
      });
  const auto [begin, end] = slice.elements;
  SY_EXPECTS(0 <= begin && begin <= end && end <= entry.elements(), "'{}': elements {} to {} of shape {}",
             slice.path, begin, end, tensor::to_string(slice.shape));
  reading(*file_, [&] { file_->read_elements(entry, slice.elements, slice.data); });
}

void verify(const fs::path& file) {
  detail::reading(file, [&] {
    detail::verify_bytes(file);
    const FileReader reader(file);
    for (const Entry& entry : reader.entries()) {
      const std::uint32_t stored = reader.stored_crc32(entry);
      const std::uint32_t computed = reader.computed_crc32(entry);
      if (stored != computed)
        throw detail::Failure(
            fmt::format("'{}' has CRC-32 {:08x}, stored is {:08x}: something has changed it and "
                        "renewed the digest",
                        entry.path, computed, stored));
    }
  });
}

}  // namespace switchyard::checkpoint
