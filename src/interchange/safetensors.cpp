#include "interchange/safetensors.hpp"

#include <fcntl.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "base/error.hpp"
#include "config/messages.hpp"
#include "files/regular_file.hpp"
#include "ops/convert.hpp"

namespace switchyard::interchange {
namespace {

static_assert(std::endian::native == std::endian::little, "numbers go to the file as they are");

constexpr index_t length_bytes = 8;
constexpr index_t most_header_bytes = 100'000'000;  // as other readers of the format have it
constexpr std::size_t most_dimensions = 8;
constexpr std::string_view metadata_name = "__metadata__";
constexpr std::array types = {ElementType::float32, ElementType::bfloat16};

template <class... Args>
[[noreturn]] void fail(fmt::format_string<Args...> message, Args&&... args) {
  throw files::Failure(fmt::format(message, std::forward<Args>(args)...));
}

// The events of the header's text, in which a name that stands there twice is seen and no depth costs memory.
class HeaderEvents final : public nlohmann::json_sax<nlohmann::json> {
 public:
  StoredArrays arrays;

  bool start_object(std::size_t) override {
    if (depth_ > 1 || list_ != nullptr) fail("the header holds an object where it has none");
    ++depth_;
    if (depth_ == 2) {
      fields_.clear();
      dtype_.clear();
      shape_.clear();
      offsets_.clear();
    }
    return true;
  }

  bool key(std::string& name) override {
    if (depth_ == 1) {
      array_ = name;
      if (name == metadata_name ? std::exchange(has_metadata_, true) : arrays.contains(name))
        fail("the header has {} twice", config::in_quotes(name));
      return true;
    }
    field_ = name;
    if (!fields_.insert(name).second)
      fail("{} has {} twice", config::in_quotes(array_), config::in_quotes(name));
    return true;
  }

  bool string(std::string& text) override {
    if (depth_ == 2 && array_ == metadata_name) return true;
    if (depth_ != 2 || field_ != "dtype" || list_ != nullptr) return unexpected("a text");
    dtype_ = text;
    return true;
  }

  bool start_array(std::size_t) override {
    if (depth_ != 2 || array_ == metadata_name || list_ != nullptr) return unexpected("a list");
    list_ = field_ == "shape" ? &shape_ : field_ == "data_offsets" ? &offsets_ : nullptr;
    return list_ != nullptr || unexpected("a list");
  }

  bool number_unsigned(number_unsigned_t number) override {
    if (list_ == nullptr || number > as_size(std::numeric_limits<index_t>::max()))
      return unexpected("a number");
    if (list_->size() == most_dimensions) return unexpected("too long a list");
    list_->push_back(static_cast<index_t>(number));
    return true;
  }

  bool end_array() override {
    list_ = nullptr;
    return true;
  }

  bool end_object() override {
    --depth_;
    if (depth_ == 1 && array_ != metadata_name) arrays.emplace(array_, finished_array());
    return true;
  }

  bool null() override { return unexpected("null"); }
  bool boolean(bool) override { return unexpected("a truth value"); }
  bool number_integer(number_integer_t) override { return unexpected("a negative number"); }
  bool number_float(number_float_t, const string_t&) override { return unexpected("a broken number"); }
  bool binary(binary_t&) override { return unexpected("bytes"); }
  bool parse_error(std::size_t at, const std::string&, const nlohmann::detail::exception&) override {
    fail("the header is no JSON object: it breaks off or goes wrong at byte {}", at);
  }

 private:
  [[noreturn]] bool unexpected(std::string_view what) const {
    fail("the header holds {} at {}, {}", what, config::in_quotes(array_), config::in_quotes(field_));
  }

  StoredArray finished_array() const {
    const std::string name = config::in_quotes(array_);
    if (fields_.size() != 3 || dtype_.empty() || offsets_.size() != 2)
      fail("{} has not the three members dtype, shape and data_offsets (two numbers)", name);
    const auto type = std::ranges::find(types, dtype_, [](ElementType one) { return interchange::name(one); });
    if (type == types.end())
      fail("{} is of {}, and F32 and BF16 are what is read", name, config::in_quotes(dtype_));
    index_t bytes = bytes_of(*type);
    for (const index_t extent : shape_) {
      if (__builtin_mul_overflow(bytes, extent, &bytes))
        fail("{} has more numbers than there are bytes on any disk", name);
    }
    if (offsets_[1] < offsets_[0] || offsets_[1] - offsets_[0] != bytes) {
      fail("{} lies at bytes {} to {}, and {} numbers of {} are {} bytes", name, offsets_[0], offsets_[1],
           tensor::to_string(shape_), dtype_, bytes);
    }
    return {*type, shape_, {offsets_[0], offsets_[1]}};
  }

  int depth_ = 0;
  bool has_metadata_ = false;
  std::string array_, field_, dtype_;
  std::set<std::string> fields_;
  std::vector<index_t> shape_, offsets_;
  std::vector<index_t>* list_ = nullptr;  // that is open
};

// Arrays follow one behind the other to the last byte, as the format asks.
void expect_no_gaps(const StoredArrays& arrays, index_t data_bytes) {
  std::vector<const StoredArrays::value_type*> in_order;
  for (const auto& array : arrays) in_order.push_back(&array);
  const auto place = [](const auto* array) {
    return std::pair(array->second.bytes.begin, array->second.bytes.end);
  };
  std::ranges::sort(in_order, {}, place);
  index_t end = 0;
  for (const auto* array : in_order) {
    if (array->second.bytes.begin != end) {
      fail("{} begins at byte {}, and what lies before it ends at {}", config::in_quotes(array->first),
           array->second.bytes.begin, end);
    }
    end = array->second.bytes.end;
  }
  if (end != data_bytes) fail("its arrays take {} bytes, and the file holds {}", end, data_bytes);
}

std::string header_of(ElementType type, const std::vector<ArrayToWrite>& arrays) {
  nlohmann::ordered_json header;
  header[metadata_name] = {{"format", "pt"}};  // PyTorch's: [outputs, inputs]; transformers asks for it
  index_t at = 0;
  for (const ArrayToWrite& array : arrays) {
    const index_t end = at + bytes_of(type) * tensor::element_count(array.shape);
    header[array.name] = {{"dtype", name(type)}, {"shape", array.shape}, {"data_offsets", {at, end}}};
    at = end;
  }
  std::string text = header.dump();
  text.append(as_size(-std::ssize(text) & (length_bytes - 1)), ' ');
  return text;
}

}  // namespace

index_t bytes_of(ElementType type) { return type == ElementType::float32 ? 4 : 2; }

std::string_view name(ElementType type) { return type == ElementType::float32 ? "F32" : "BF16"; }

StoredArrays parse_header(std::string_view header, index_t data_bytes) {
  if (!header.starts_with('{')) fail("its header does not begin with a brace");
  HeaderEvents events;
  nlohmann::json::sax_parse(header, &events);
  expect_no_gaps(events.arrays, data_bytes);
  return std::move(events.arrays);
}

SafetensorsReader::SafetensorsReader(const std::filesystem::path& file) {
  try {
    if (const std::string reason = files::why_unreadable(file); !reason.empty()) fail("{}", reason);
    file_ = files::File(file, O_RDONLY);
    const index_t size = file_.size_bytes();
    std::uint64_t length = 0;
    if (size < length_bytes) fail("it has {} bytes, and a header's length takes 8", size);
    file_.read_at(0, {reinterpret_cast<std::byte*>(&length), length_bytes});
    if (length > as_size(most_header_bytes))
      fail("its header would have {} bytes, and {} are the most", length, most_header_bytes);
    if (length > as_size(size - length_bytes))
      fail("its header would have {} bytes, and the file has {}", length, size);
    std::string header(length, '\0');
    file_.read_at(length_bytes, {reinterpret_cast<std::byte*>(header.data()), header.size()});
    data_begin_ = length_bytes + static_cast<index_t>(length);
    arrays_ = parse_header(header, size - data_begin_);
  } catch (const files::Failure& failure) {
    throw DataError(fmt::format("'{}' is no whole safetensors file ({}); check the path, or copy it again",
                                file.string(), failure.what()));
  }
}

Vector<float> SafetensorsReader::read(const StoredArray& array) const {
  Vector<float> values(tensor::element_count(array.shape));
  try {
    const auto fill = [&](auto* to) {
      file_.read_at(data_begin_ + array.bytes.begin, {reinterpret_cast<std::byte*>(to), array.bytes.size()});
    };
    if (array.type == ElementType::float32) {
      fill(values.data());
    } else {
      Vector<ops::bfloat16> short_values(std::ssize(values));
      fill(short_values.data());
      std::ranges::transform(short_values, values.begin(), [](ops::bfloat16 value) { return to_float(value); });
    }
  } catch (const files::Failure& failure) {
    throw DataError(
        fmt::format("'{}' cannot be read ({}); check the file system", file_.path().string(), failure.what()));
  }
  return values;
}

SafetensorsWriter::SafetensorsWriter(const std::filesystem::path& file, ElementType type,
                                     const std::vector<ArrayToWrite>& arrays, std::string_view place)
    : type_(type), file_(file, place) {
  const std::string header = header_of(type, arrays);
  const auto length = static_cast<std::uint64_t>(header.size());
  file_.write({reinterpret_cast<const char*>(&length), sizeof length});
  file_.write(header);
}

void SafetensorsWriter::write(Span<const float> values) {
  if (type_ == ElementType::float32) {
    file_.write({reinterpret_cast<const char*>(values.data()), values.size_bytes()});
    return;
  }
  Vector<ops::bfloat16> rounded(std::ssize(values));
  std::ranges::transform(values, rounded.begin(), [](float value) { return ops::to_bfloat16(value); });
  file_.write({reinterpret_cast<const char*>(rounded.data()), rounded.size() * sizeof(ops::bfloat16)});
}

}  // namespace switchyard::interchange
