#include "checkpoint/detail/links.hpp"

#include <fmt/format.h>

#include <bit>
#include <map>
#include <vector>

namespace switchyard::checkpoint::detail {
namespace {

// Of the HDF5 file format specification, version 3: III.G (fractal heap), III.A.2 (B-tree, version 2), with the
// parameters that libhdf5 has for links (H5Gpkg.h, H5Gdense.c).
constexpr std::size_t address_bytes = 8;
constexpr std::size_t heap_offset_bytes = 4;  // for 2^32 bytes of heap
constexpr std::size_t heap_length_bytes = 2;
constexpr std::size_t heap_id_bytes = 1 + heap_offset_bytes + heap_length_bytes;
constexpr std::uint64_t heap_bits = 32;
constexpr std::uint64_t table_width = 4;
constexpr std::uint64_t first_block_bytes = 512;
constexpr std::uint64_t largest_direct_bytes = 65536;
constexpr std::uint64_t heap_header_bytes = 146;
constexpr std::size_t block_checksum_at = 4 + 1 + address_bytes + heap_offset_bytes;

constexpr std::size_t tree_header_bytes = 38;
constexpr std::size_t node_bytes = 512;
constexpr std::size_t node_overhead_bytes = 10;  // signature, version, type, checksum
constexpr std::size_t record_bytes = 4 + heap_id_bytes;
constexpr std::uint64_t name_index = 5;  // type of tree: links by the hash of their name

class LinkHeap {
 public:
  LinkHeap(BlockFile& file, std::uint64_t address) : file_(file), address_(address) {
    const std::vector<std::byte> header = file.read(address, heap_header_bytes, "FRHP");
    Fields fields(header);
    fields.take(4);
    fields.expect(1, 0, "the version of a heap");
    fields.expect(2, heap_id_bytes, "the size of a heap's ids");
    fields.expect(2, 0, "the size of a heap's filters");
    fields.expect(1, 2, "the flags of a heap");  // its direct blocks have checksums
    fields.take(4 + 12 * address_bytes);         // largest object, then counts and free space
    fields.expect(2, table_width, "the width of a heap's table");
    fields.expect(8, first_block_bytes, "the size of a heap's first block");
    fields.expect(8, largest_direct_bytes, "the size of a heap's largest block");
    fields.expect(2, heap_bits, "the bits of a heap's offsets");
    fields.take(2);
    const std::uint64_t root = fields.number(address_bytes);
    const std::uint64_t rows = fields.number(2);
    if (rows == 0)
      add_direct(root, 0, first_block_bytes);
    else
      add_indirect(root, 0, rows);
  }

  Span<const std::byte> object(Span<const std::byte> id) const {
    Fields fields(id);
    fields.expect(1, 0, "the kind of an object of a heap");
    const std::uint64_t offset = fields.number(heap_offset_bytes);
    const std::uint64_t bytes = fields.number(heap_length_bytes);
    const auto after = blocks_.upper_bound(offset);
    if (after != blocks_.begin()) {
      const auto& [start, block] = *std::prev(after);
      if (offset - start < block.size() && bytes <= block.size() - (offset - start))
        return Span(block).subspan(offset - start, bytes);
    }
    throw Failure(
        fmt::format("a link of {} bytes is at {} of its heap, where there is no block", bytes, offset));
  }

 private:
  static std::uint64_t row_bytes(std::uint64_t row) { return first_block_bytes << (row == 0 ? 0 : row - 1); }

  void check_place(Fields fields, std::uint64_t heap_offset) const {
    fields.take(4);
    fields.expect(1, 0, "the version of a heap's block");
    fields.expect(address_bytes, address_, "the heap of a heap's block");
    fields.expect(heap_offset_bytes, heap_offset, "the place of a heap's block");
  }

  void add_direct(std::uint64_t address, std::uint64_t heap_offset, std::uint64_t bytes) {
    std::vector<std::byte> block = file_.read_with_inner_checksum(address, bytes, "FHDB", block_checksum_at);
    check_place(Fields(block), heap_offset);
    blocks_.emplace(heap_offset, std::move(block));
  }

  void add_indirect(std::uint64_t address, std::uint64_t heap_offset, std::uint64_t rows) {
    // So many rows have 2^32 bytes.
    constexpr std::uint64_t most_rows = heap_bits - 9 - 2 + 1;
    if (rows > most_rows) throw Failure(fmt::format("a heap's table has {} rows", rows));
    const std::uint64_t bytes = block_checksum_at + rows * table_width * address_bytes + 4;
    const std::vector<std::byte> block = file_.read(address, bytes, "FHIB");
    check_place(Fields(block), heap_offset);
    Fields children(Span<const std::byte>(block).subspan(block_checksum_at));
    for (std::uint64_t row = 0; row < rows; ++row) {
      for (std::uint64_t column = 0; column < table_width; ++column, heap_offset += row_bytes(row)) {
        const std::uint64_t child = children.number(address_bytes);
        if (child == no_address) continue;
        if (row_bytes(row) <= largest_direct_bytes) {
          add_direct(child, heap_offset, row_bytes(row));
        } else {
          // As many rows as have the bytes of one entry of this row.
          add_indirect(
              child, heap_offset,
              static_cast<std::uint64_t>(std::bit_width(row_bytes(row) / (first_block_bytes * table_width))));
        }
      }
    }
  }

  BlockFile& file_;
  std::uint64_t address_;
  std::map<std::uint64_t, std::vector<std::byte>> blocks_;  // by their offset in the heap
};

// How a node's pointers are written: the address, the count of records in the child and, above the lowest
// inner nodes, in all below it.
struct NodeLevel {
  std::size_t most_records = 0;
  std::size_t most_records_below = 0;  // with its own
  std::size_t pointer_bytes = 0;
};

std::size_t bytes_for(std::size_t value) { return (as_size(std::bit_width(value)) - 1) / 8 + 1; }

NodeLevel level_of(std::size_t depth) {
  constexpr std::size_t leaf_records = (node_bytes - node_overhead_bytes) / record_bytes;
  NodeLevel level{leaf_records, leaf_records, 0};
  for (std::size_t d = 1; d <= depth; ++d) {
    const std::size_t below = level.most_records_below;
    level.pointer_bytes = address_bytes + bytes_for(leaf_records) + (d == 1 ? 0 : bytes_for(below));
    level.most_records =
        (node_bytes - node_overhead_bytes - level.pointer_bytes) / (record_bytes + level.pointer_bytes);
    level.most_records_below = (level.most_records + 1) * below + level.most_records;
  }
  return level;
}

class NameTree {
 public:
  using Use = std::function<void(Span<const std::byte>)>;  // a heap id
  NameTree(BlockFile& file, const Use& use) : file_(file), use_(use) {}

  void walk(std::uint64_t address) {
    constexpr std::uint64_t most_depth = 4;  // more than 10^7 links
    const std::vector<std::byte> header = file_.read(address, tree_header_bytes, "BTHD");
    Fields fields(header);
    fields.take(4);
    fields.expect(1, 0, "the version of a tree");
    fields.expect(1, name_index, "the type of a tree");
    fields.expect(4, node_bytes, "the size of a tree's nodes");
    fields.expect(2, record_bytes, "the size of a tree's records");
    const std::uint64_t depth = fields.number(2);
    if (depth > most_depth) throw Failure(fmt::format("a tree's depth is {}", depth));
    fields.take(2);
    const std::uint64_t root = fields.number(address_bytes);
    const std::uint64_t records = fields.number(2);
    if (root != no_address) visit(root, records, depth);
  }

 private:
  void visit(std::uint64_t address, std::uint64_t records, std::size_t depth) {
    const NodeLevel level = level_of(depth);
    if (records > level.most_records) throw Failure(fmt::format("a tree's node has {} records", records));
    // A node has its place of 512 bytes; the checksum follows what is used of it.
    const std::size_t used =
        node_overhead_bytes + records * record_bytes + (depth == 0 ? 0 : (records + 1) * level.pointer_bytes);
    const std::vector<std::byte> node = file_.read(address, used, depth == 0 ? "BTLF" : "BTIN");
    Fields fields(node);
    fields.take(4);
    fields.expect(1, 0, "the version of a tree's node");
    fields.expect(1, name_index, "the type of a tree's node");
    for (std::uint64_t r = 0; r < records; ++r) use_(fields.take(record_bytes).last(heap_id_bytes));
    if (depth == 0) return;
    for (std::uint64_t child = 0; child <= records; ++child) {
      Fields pointer(fields.take(level.pointer_bytes));
      const std::uint64_t below = pointer.number(address_bytes);
      visit(below, pointer.number(bytes_for(level_of(0).most_records)), depth - 1);
    }
  }

  BlockFile& file_;
  const Use& use_;
};

}  // namespace

void for_each_dense_link(BlockFile& file, std::uint64_t heap_address, std::uint64_t tree_address,
                         const std::function<void(Span<const std::byte>)>& use) {
  const LinkHeap heap(file, heap_address);
  const NameTree::Use use_id = [&](Span<const std::byte> id) { use(heap.object(id)); };
  NameTree(file, use_id).walk(tree_address);
}

}  // namespace switchyard::checkpoint::detail
