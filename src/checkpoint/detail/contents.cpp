#include "checkpoint/detail/contents.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>

#include "checkpoint/detail/blocks.hpp"
#include "checkpoint/detail/links.hpp"

namespace switchyard::checkpoint::detail {
namespace {

constexpr std::size_t most_name_bytes = 255;
constexpr std::size_t most_path_bytes = 1024;
constexpr std::ptrdiff_t most_depth = 16;
// A text is kept in memory whole; a configuration has some thousand bytes.
constexpr std::uint64_t most_text_bytes = std::uint64_t{1} << 24;
// So that elements can be counted where another extent is 0 and the file's size says nothing.
constexpr std::uint64_t most_elements = std::uint64_t{1} << 48;

// Types of messages in an object header, of the HDF5 file format specification, version 3, section IV.A.2.
enum class MessageType : std::uint8_t {
  nil = 0x00,
  dataspace = 0x01,
  link_info = 0x02,
  datatype = 0x03,
  fill_value = 0x05,
  link = 0x06,
  layout = 0x08,
  group_info = 0x0A,
  attribute = 0x0C,
  continuation = 0x10,
  attribute_info = 0x15
};

struct Message {
  MessageType type;
  std::vector<std::byte> body;
};

bool is_name(std::string_view name) {
  return !name.empty() && name.size() <= most_name_bytes && name != "." && name != ".." &&
         std::none_of(name.begin(), name.end(),
                      [](char c) { return c == '/' || static_cast<unsigned char>(c) < ' ' || c == '\x7f'; });
}

// The encodings of our types behind the byte of class and version (1 and 3 are the same for these).
struct Encoding {
  std::uint8_t type_class;
  std::array<std::uint8_t, 3> flags;
  std::uint32_t bytes;
  std::array<std::uint8_t, 12> properties;
  std::size_t property_bytes;

  bool operator==(const Encoding&) const = default;
};
constexpr Encoding integer_encoding(std::uint8_t bytes, bool is_signed) {
  return {0,
          {static_cast<std::uint8_t>(is_signed ? 8 : 0), 0, 0},
          bytes,
          {0, 0, static_cast<std::uint8_t>(8 * bytes)},
          4};
}
constexpr Encoding float32_encoding{1, {0x20, 31, 0}, 4, {0, 0, 32, 0, 23, 8, 0, 23, 127, 0, 0, 0}, 12};
constexpr Encoding float64_encoding{1, {0x20, 63, 0}, 8, {0, 0, 64, 0, 52, 11, 0, 52, 0xff, 3, 0, 0}, 12};
constexpr std::uint8_t text_class = 3;

Encoding read_encoding(Span<const std::byte> bytes) {
  Fields fields(bytes);
  Encoding found{};
  const std::uint64_t head = fields.number(1);
  found.type_class = static_cast<std::uint8_t>(head & 0xf);
  if (const std::uint64_t version = head >> 4; version != 1 && version != 3)
    throw Failure(fmt::format("its type has version {}", version));
  for (std::uint8_t& flag : found.flags) flag = static_cast<std::uint8_t>(fields.number(1));
  found.bytes = static_cast<std::uint32_t>(fields.number(4));
  found.property_bytes = fields.rest().size();
  if (found.property_bytes > found.properties.size())
    throw Failure(fmt::format("its type is described with {} bytes", bytes.size()));
  for (std::size_t i = 0; i < found.property_bytes; ++i)
    found.properties[i] = static_cast<std::uint8_t>(fields.number(1));
  return found;
}

std::optional<DType> dtype_of(const Encoding& type) {
  if (type == float32_encoding) return DType::float32;
  if (type == float64_encoding) return DType::float64;
  if (type == integer_encoding(8, true)) return DType::int64;
  if (type == integer_encoding(1, false)) return DType::uint8;
  if (type == integer_encoding(2, false)) return DType::uint16;
  if (type == integer_encoding(4, false)) return DType::uint32;
  if (type == integer_encoding(1, true)) return DType::int8;
  if (type == integer_encoding(2, true)) return DType::int16;
  if (type == integer_encoding(4, true)) return DType::int32;
  return std::nullopt;
}

tensor::Shape read_shape(Span<const std::byte> bytes) {
  Fields fields(bytes);
  fields.expect(1, 2, "the version of its shape");
  const std::uint64_t dimensions = fields.number(1);
  const std::uint64_t flags = fields.number(1);
  fields.expect(1, dimensions == 0 ? 0 : 1, "the kind of its shape");
  if (dimensions > most_dimensions) throw Failure(fmt::format("it has {} dimensions", dimensions));
  tensor::Shape shape;
  std::uint64_t elements = 1;
  for (std::uint64_t d = 0; d < dimensions; ++d) {
    const std::uint64_t extent = fields.number(8);
    if (extent > most_elements || (extent > 0 && elements > most_elements / extent))
      throw Failure(fmt::format("its dimension {} has {} elements: too many", d, extent));
    elements *= std::max<std::uint64_t>(extent, 1);
    shape.push_back(static_cast<index_t>(extent));
  }
  if ((flags & 1) != 0)
    for (const index_t extent : shape)
      fields.expect(8, static_cast<std::uint64_t>(extent), "its largest extent");
  return shape;
}

struct Attribute {
  std::string_view name;
  std::uint32_t value = 0;
};

// A scalar number, unsigned: of 4 bytes if it is the checksum, else of 1.
Attribute read_attribute(Span<const std::byte> bytes) {
  Fields fields(bytes);
  fields.expect(1, 3, "the version of an attribute");
  fields.expect(1, 0, "the flags of an attribute");
  const std::size_t name_bytes = fields.number(2);
  const std::size_t type_bytes = fields.number(2);
  const std::size_t space_bytes = fields.number(2);
  fields.take(1);  // characters of the name
  Attribute attribute;
  attribute.name = fields.text(name_bytes);
  if (!attribute.name.empty() && attribute.name.back() == '\0') attribute.name.remove_suffix(1);
  const bool is_checksum = attribute.name == checksum_attribute;
  if (!is_checksum && attribute.name != header_attribute)
    throw Failure(fmt::format("it has an attribute '{}', we write {} and {}",
                              is_name(attribute.name) ? attribute.name : "?", checksum_attribute,
                              header_attribute));
  const std::uint8_t value_bytes = is_checksum ? 4 : 1;
  if (read_encoding(fields.take(type_bytes)) != integer_encoding(value_bytes, false) ||
      !read_shape(fields.take(space_bytes)).empty() || fields.rest().size() != value_bytes)
    throw Failure(fmt::format("its attribute {} is not one unsigned number of {} bytes", attribute.name,
                              int{value_bytes}));
  attribute.value = static_cast<std::uint32_t>(fields.number(value_bytes));
  return attribute;
}

class Walk {
 public:
  explicit Walk(const files::File& file) : file_(file) {}

  std::vector<Entry> run() {
    try {
      visit(root_address(), "", 0);
      path_.clear();
      file_.check_claims();
    } catch (const Failure& failure) {
      throw Failure(fmt::format("'/{}' is not as this program writes it: {}", path_, failure.what()));
    }
    std::ranges::sort(entries_, {}, &Entry::path);
    return std::move(entries_);
  }

 private:
  std::uint64_t root_address() {
    const std::vector<std::byte> superblock = file_.read(0, 48, "\x89HDF\r\n\x1a\n");
    Fields fields(superblock);
    fields.take(8);
    fields.expect(1, 3, "the version of the superblock");
    fields.expect(1, 8, "the size of offsets");
    fields.expect(1, 8, "the size of lengths");
    fields.expect(1, 0, "the mark of a file that is open");
    fields.expect(8, static_cast<std::uint64_t>(user_block_bytes), "the base address");
    fields.expect(8, no_address, "the address of an extension");
    fields.take(8);  // the end of the file, which the user block says
    return fields.number(8);
  }

  void visit(std::uint64_t address, const std::string& path, std::ptrdiff_t depth) {
    path_ = path;
    const std::vector<Message> messages = read_header(address);
    if (std::ranges::find(messages, MessageType::link_info, &Message::type) != messages.end())
      visit_group(messages, path, depth);
    else
      entries_.push_back(read_dataset(messages, path));
  }

  std::vector<Message> read_header(std::uint64_t address) {
    constexpr std::size_t longest_prefix = 4 + 1 + 1 + 16 + 4 + 8;
    const std::vector<std::byte> start = file_.peek(address, longest_prefix);
    Fields prefix(start);
    prefix.expect_signature("OHDR");
    prefix.expect(1, 2, "the version of its header");
    const std::uint64_t flags = prefix.number(1);
    if ((flags & 0x20) != 0) prefix.take(16);  // times
    if ((flags & 0x10) != 0) prefix.take(4);   // limits of attributes
    const std::size_t size_field = std::size_t{1} << (flags & 3);
    const std::uint64_t bytes = prefix.number(size_field);
    const std::size_t prefix_bytes = start.size() - prefix.rest().size();
    if (bytes > static_cast<std::uint64_t>(file_.size()))
      throw Failure(fmt::format("its header has {} bytes", bytes));

    std::vector<Message> messages;
    std::vector<std::pair<std::uint64_t, std::uint64_t>> chunks;  // of what is continued: address and bytes
    const std::vector<std::byte> first = file_.read(address, prefix_bytes + bytes + 4, "OHDR");
    read_messages(Span(first).subspan(prefix_bytes), flags, messages, chunks);
    for (std::size_t i = 0; i < chunks.size(); ++i) {
      const std::vector<std::byte> chunk = file_.read(chunks[i].first, chunks[i].second, "OCHK");
      read_messages(Span(chunk).subspan(4), flags, messages, chunks);
    }
    return messages;
  }

  static void read_messages(Span<const std::byte> bytes, std::uint64_t header_flags,
                            std::vector<Message>& messages,
                            std::vector<std::pair<std::uint64_t, std::uint64_t>>& chunks) {
    constexpr std::uint64_t shared = 2;
    const std::size_t order_bytes = (header_flags & 4) != 0 ? 2 : 0;
    Fields fields(bytes);
    while (fields.rest().size() >= 4 + order_bytes) {
      const auto type = static_cast<MessageType>(fields.number(1));
      const std::uint64_t body_bytes = fields.number(2);
      if (const std::uint64_t flags = fields.number(1); (flags & shared) != 0)
        throw Failure(fmt::format("message {} is shared with another object", static_cast<int>(type)));
      fields.take(order_bytes);
      const auto body = fields.take(body_bytes);
      if (type == MessageType::continuation) {
        Fields where(body);
        const std::uint64_t address = where.number(8);
        chunks.emplace_back(address, where.number(8));
      } else if (type != MessageType::nil) {
        messages.push_back({type, {body.begin(), body.end()}});
      }
    }
  }

  void visit_group(const std::vector<Message>& messages, const std::string& path, std::ptrdiff_t depth) {
    std::vector<std::pair<std::string, std::uint64_t>> links;
    const auto add = [&](Span<const std::byte> body) { links.push_back(read_link(body)); };
    for (const Message& message : messages) {
      if (message.type == MessageType::link)
        add(message.body);
      else if (message.type == MessageType::link_info)
        read_link_info(message.body, add);
      else if (message.type != MessageType::group_info)
        throw_unexpected(message, "a group");
    }
    if (depth == most_depth && !links.empty())
      throw Failure(fmt::format("it is a group below {} others", depth));
    std::set<std::string> names;
    for (const auto& [name, address] : links) {
      const std::string member = path.empty() ? name : fmt::format("{}/{}", path, name);
      path_ = member;
      if (!names.insert(name).second) throw Failure("two things have this name");
      if (!is_path(member)) throw Failure(fmt::format("its path has {} bytes", member.size()));
      visit(address, member, depth + 1);
    }
  }

  template <class Add>
  void read_link_info(Span<const std::byte> body, const Add& add) {
    Fields fields(body);
    fields.expect(1, 0, "the version of its links");
    const std::uint64_t flags = fields.number(1);
    if (flags != 0) throw Failure(fmt::format("the flags of its links are {}", flags));
    const std::uint64_t heap = fields.number(8);
    const std::uint64_t tree = fields.number(8);
    if (heap != no_address) for_each_dense_link(file_, heap, tree, add);
  }

  static std::pair<std::string, std::uint64_t> read_link(Span<const std::byte> body) {
    Fields fields(body);
    fields.expect(1, 1, "the version of a link");
    const std::uint64_t flags = fields.number(1);
    constexpr std::uint64_t has_type = 8;
    constexpr std::uint64_t has_characters = 16;
    if ((flags & ~(has_type | has_characters | 3U)) != 0)
      throw Failure(fmt::format("the flags of a link are {}", flags));
    if ((flags & has_type) != 0)
      fields.expect(1, 0, "the kind of a link");  // soft and external ones have others
    if ((flags & has_characters) != 0) fields.take(1);
    const std::uint64_t name_bytes = fields.number(std::size_t{1} << (flags & 3));
    const std::string_view name = fields.text(name_bytes);
    if (!is_name(name))
      throw Failure(fmt::format("the name of a link, of {} bytes, is none that we write", name_bytes));
    return {std::string(name), fields.number(8)};
  }

  Entry read_dataset(const std::vector<Message>& messages, const std::string& path) {
    Entry entry;
    entry.path = path;
    std::optional<Encoding> type;
    std::optional<tensor::Shape> shape;
    std::optional<Span<const std::byte>> layout;
    std::optional<std::uint32_t> header_mark;
    const auto once = [](auto& place, auto&& value, const char* what) {
      if (place) throw Failure(fmt::format("it has {} twice", what));
      place = value;
    };
    for (const Message& message : messages) {
      if (message.type == MessageType::datatype) {
        once(type, read_encoding(message.body), "a type");
      } else if (message.type == MessageType::dataspace) {
        once(shape, read_shape(message.body), "a shape");
      } else if (message.type == MessageType::layout) {
        once(layout, Span<const std::byte>(message.body), "a layout");
      } else if (message.type == MessageType::attribute) {
        const Attribute attribute = read_attribute(message.body);
        const bool is_checksum = attribute.name == checksum_attribute;
        once(is_checksum ? entry.crc32 : header_mark, attribute.value, "an attribute");
      } else if (message.type == MessageType::attribute_info) {
        Fields fields(message.body);
        fields.expect(1, 0, "the version of its attributes");
        fields.take((fields.number(1) & 1) != 0 ? 2 : 0);
        fields.expect(8, no_address, "the address of more attributes");
      } else if (message.type != MessageType::fill_value) {
        throw_unexpected(message, "an array");
      }
    }
    if (!type || !shape || !layout) throw Failure("it is neither a group nor an array");
    entry.shape = std::move(*shape);
    set_kind(entry, *type, header_mark.has_value());
    set_place(entry, *layout);
    return entry;
  }

  static void set_kind(Entry& entry, const Encoding& type, bool is_header) {
    if (type.type_class == text_class && type.property_bytes == 0 && entry.shape.empty()) {
      if (type.bytes > most_text_bytes) throw Failure(fmt::format("it is a text of {} bytes", type.bytes));
      entry.kind = Entry::Kind::text;
      entry.text_bytes = static_cast<index_t>(type.bytes);
      return;
    }
    const std::optional<DType> dtype = dtype_of(type);
    if (!dtype)
      throw Failure("it is none of float32, float64, int64, uint8, uint16, uint32 and a text of fixed size");
    entry.dtype = *dtype;
    if (!is_header) return;
    entry.kind = Entry::Kind::header_value;
    if (!entry.shape.empty() || (*dtype != DType::float64 && *dtype != DType::int64))
      throw Failure(
          fmt::format("it is marked as one number and is {} {}", name(*dtype), tensor::to_string(entry.shape)));
  }

  void set_place(Entry& entry, Span<const std::byte> layout) {
    constexpr std::uint64_t contiguous = 1;
    Fields fields(layout);
    if (const std::uint64_t version = fields.number(1); version != 3 && version != 4)
      throw Failure(fmt::format("its layout has version {}", version));
    fields.expect(1, contiguous, "its kind of layout");
    const std::uint64_t address = fields.number(8);
    const std::uint64_t bytes = fields.number(8);
    if (bytes != static_cast<std::uint64_t>(entry.bytes()))
      throw Failure(fmt::format("its layout has {} bytes, its shape and type have {}", bytes, entry.bytes()));
    if (bytes == 0) return;
    if (address == no_address) throw Failure("its bytes are not in the file");
    file_.claim(address, bytes, "its content");
    entry.offset = file_.offset(address);
  }

  [[noreturn]] static void throw_unexpected(const Message& message, const char* where) {
    throw Failure(fmt::format("a message of type {} in {}", static_cast<int>(message.type), where));
  }

  BlockFile file_;
  std::vector<Entry> entries_;
  std::string path_;  // of what is being read, for the error
};

}  // namespace

bool is_path(std::string_view path) {
  if (path.size() > most_path_bytes || std::count(path.begin(), path.end(), '/') >= most_depth) return false;
  for (std::size_t begin = 0; begin <= path.size();) {
    const std::size_t end = std::min(path.find('/', begin), path.size());
    if (!is_name(path.substr(begin, end - begin))) return false;
    begin = end + 1;
  }
  return true;
}

std::vector<Entry> contents_of(const files::File& file) { return Walk(file).run(); }

}  // namespace switchyard::checkpoint::detail
