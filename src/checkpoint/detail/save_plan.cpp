#include "checkpoint/detail/save_plan.hpp"

#include <algorithm>
#include <cstring>
#include <map>
#include <numeric>
#include <set>

#include "base/contract.hpp"
#include "base/span.hpp"
#include "checkpoint/detail/contents.hpp"
#include "checkpoint/detail/pieces.hpp"

namespace switchyard::checkpoint::detail {
namespace {

// Of libhdf5 1.10.8 with format v110: object header, link, checksum, and a share of the blocks in which it
// hands out space. Measured 200 to 410 bytes per data set or group, with 20 to 10,000 of them, and 2 KiB for
// the file.
constexpr index_t object_overhead_bytes = 512;
constexpr index_t file_overhead_bytes = 16 * 1024;

// Calls use(group) for "a" and "a/b" of "a/b/c".
template <class Use>
void for_each_group_above(const std::string& path, const Use& use) {
  for (std::size_t slash = path.find('/'); slash != std::string::npos; slash = path.find('/', slash + 1))
    use(path.substr(0, slash));
}

std::vector<std::string> all_paths(const SavePlan& plan, const Header& header) {
  std::vector<std::string> paths;
  for (const ArrayPlan& array : plan.arrays) paths.push_back(array.path);
  for (const auto& [path, value] : header.integers) paths.push_back(path);
  for (const auto& [path, value] : header.numbers) paths.push_back(path);
  for (const auto& [path, value] : header.texts) paths.push_back(path);
  return paths;
}

// Descriptions travel as bytes: the path's length and characters, then integers.
class Packer {
 public:
  void add(index_t value) { append(std::as_bytes(Span(&value, 1))); }
  void add(const std::string& text) {
    add(std::ssize(text));
    append(std::as_bytes(Span(text)));
  }
  Span<const std::byte> bytes() const { return bytes_; }

 private:
  void append(Span<const std::byte> bytes) { bytes_.insert(bytes_.end(), bytes.begin(), bytes.end()); }
  std::vector<std::byte> bytes_;
};

class Unpacker {
 public:
  explicit Unpacker(Span<const std::byte> bytes) : bytes_(bytes) {}
  bool done() const { return bytes_.empty(); }
  index_t integer() {
    index_t value = 0;
    std::memcpy(&value, take(sizeof value).data(), sizeof value);
    return value;
  }
  std::string text() {
    const auto bytes = take(as_size(integer()));
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }

 private:
  Span<const std::byte> take(std::size_t count) {
    SY_EXPECTS(count <= bytes_.size(), "a description of slices ends {} bytes early", count - bytes_.size());
    const auto taken = bytes_.first(count);
    bytes_ = bytes_.subspan(count);
    return taken;
  }
  Span<const std::byte> bytes_;
};

void pack(Packer& packer, const Slice& slice) {
  packer.add(slice.path);
  packer.add(static_cast<index_t>(slice.dtype));
  packer.add(std::ssize(slice.shape));
  for (const index_t extent : slice.shape) packer.add(extent);
  packer.add(slice.elements.begin);
  packer.add(slice.elements.end);
}

Slice unpack(Unpacker& unpacker) {
  Slice slice;
  slice.path = unpacker.text();
  slice.dtype = static_cast<DType>(unpacker.integer());
  slice.shape.resize(as_size(unpacker.integer()));
  for (index_t& extent : slice.shape) extent = unpacker.integer();
  slice.elements.begin = unpacker.integer();
  slice.elements.end = unpacker.integer();
  return slice;
}

void check_slice(const Slice& slice, GroupRank owner) {
  SY_EXPECTS(slice.shape.size() <= most_dimensions, "'{}' on rank {} has {} dimensions", slice.path,
             owner.value, slice.shape.size());
  for (const index_t extent : slice.shape)
    SY_EXPECTS(extent >= 0, "'{}' on rank {} has shape {}", slice.path, owner.value,
               tensor::to_string(slice.shape));
  const auto [begin, end] = slice.elements;
  SY_EXPECTS(0 <= begin && begin <= end && end <= tensor::element_count(slice.shape),
             "'{}' on rank {}: elements {} to {} of shape {}", slice.path, owner.value, begin, end,
             tensor::to_string(slice.shape));
}

void check_coverage(const ArrayPlan& array) {
  index_t next = 0;
  for (const Part& part : array.parts) {
    SY_EXPECTS(part.elements.begin == next,
               "'{}': elements up to {} are given, the next ones (rank {}) begin at {}", array.path, next,
               part.owner.value, part.elements.begin);
    next = part.elements.end;
  }
  SY_EXPECTS(next == tensor::element_count(array.shape),
             "'{}' of shape {}: only the first {} elements are given by any rank", array.path,
             tensor::to_string(array.shape), next);
}

void add_slice(std::map<std::string, ArrayPlan>& arrays, const Slice& slice, Part part) {
  check_slice(slice, part.owner);
  ArrayPlan& array =
      arrays.try_emplace(slice.path, ArrayPlan{slice.path, slice.dtype, slice.shape, {}}).first->second;
  SY_EXPECTS(array.dtype == slice.dtype && array.shape == slice.shape,
             "'{}' is {} {} on one rank and {} {} on rank {}", slice.path, name(array.dtype),
             tensor::to_string(array.shape), name(slice.dtype), tensor::to_string(slice.shape),
             part.owner.value);
  if (!part.elements.empty()) array.parts.push_back(part);
}

}  // namespace

index_t SavePlan::data_bytes() const {
  index_t bytes = 0;
  for (const ArrayPlan& array : arrays)
    bytes += tensor::element_count(array.shape) * element_bytes(array.dtype);
  return bytes;
}

SavePlan gather_save_plan(comm::Communicator& communicator, Span<const Slice> slices) {
  Packer mine;
  for (const Slice& slice : slices) pack(mine, slice);
  const Vector<index_t> sizes = communicator.all_gather(std::ssize(mine.bytes()));
  Vector<std::byte> all(std::accumulate(sizes.begin(), sizes.end(), index_t{0}));
  communicator.all_gather_rows(mine.bytes(), Span(all), Span<const index_t>(sizes), 1);

  // No check above this line: from here on every rank sees the same and throws the same.
  std::map<std::string, ArrayPlan> arrays;
  std::size_t offset = 0;
  for (int rank = 0; rank < communicator.size(); ++rank) {
    const auto bytes = as_size(sizes[rank]);
    Unpacker unpacker(Span<const std::byte>(all).subspan(offset, bytes));
    for (index_t position = 0; !unpacker.done(); ++position) {
      const Slice slice = unpack(unpacker);
      add_slice(arrays, slice, Part{GroupRank{rank}, position, slice.elements});
    }
    offset += bytes;
  }

  SavePlan plan;
  for (auto& [path, array] : arrays) {
    std::sort(array.parts.begin(), array.parts.end(),
              [](const Part& a, const Part& b) { return a.elements.begin < b.elements.begin; });
    check_coverage(array);
    plan.arrays.push_back(std::move(array));
  }
  return plan;
}

index_t expected_file_bytes(const SavePlan& plan, const Header& header) {
  index_t bytes = file_overhead_bytes + plan.data_bytes();
  std::set<std::string> objects;
  for (const std::string& path : all_paths(plan, header)) {
    objects.insert(path);
    for_each_group_above(path, [&](const std::string& group) { objects.insert(group); });
  }
  for (const auto& [path, text] : header.texts) bytes += std::ssize(text);
  for (const std::string& object : objects) bytes += object_overhead_bytes + std::ssize(object);
  return bytes;
}

void check_paths(const SavePlan& plan, const Header& header) {
  std::set<std::string> paths;
  for (const std::string& path : all_paths(plan, header)) {
    SY_EXPECTS(is_path(path), "'{}' is no path of a checkpoint: they read \"parameters/gate/weight\"", path);
    SY_EXPECTS(paths.insert(path).second, "two things are called '{}'", path);
  }
  for (const auto& [path, text] : header.texts)
    SY_EXPECTS(text.find('\0') == std::string::npos, "the text '{}' holds a NUL character", path);
  for (const std::string& path : paths)
    for_each_group_above(path, [&](const std::string& group) {
      SY_EXPECTS(!paths.contains(group), "'{}' is a value and the group of '{}'", group, path);
    });
}

}  // namespace switchyard::checkpoint::detail
