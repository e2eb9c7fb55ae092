// What a checkpoint holds, as text for people.

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <concepts>
#include <cstring>
#include <limits>
#include <map>

#include "checkpoint/checkpoint.hpp"
#include "checkpoint/detail/file_reader.hpp"

namespace switchyard::checkpoint {
namespace {

using detail::Entry;
using detail::FileReader;

enum class Align { left, right };

// Rows of cells, each column as wide as its widest cell.
class Table {
 public:
  explicit Table(std::vector<Align> columns) : columns_(std::move(columns)), widths_(columns_.size(), 0) {}

  void add(std::vector<std::string> cells) {
    for (std::size_t c = 0; c < cells.size(); ++c) widths_[c] = std::max(widths_[c], cells[c].size());
    rows_.push_back(std::move(cells));
  }

  std::string text() const {
    std::string text;
    for (const std::vector<std::string>& cells : rows_) {
      std::string line;
      for (std::size_t c = 0; c < cells.size(); ++c) {
        if (c > 0) line += "  ";
        line += columns_[c] == Align::left ? fmt::format("{:<{}}", cells[c], widths_[c])
                                           : fmt::format("{:>{}}", cells[c], widths_[c]);
      }
      line.erase(line.find_last_not_of(' ') + 1);
      text += line + "\n";
    }
    return text;
  }

 private:
  std::vector<Align> columns_;
  std::vector<std::size_t> widths_;
  std::vector<std::vector<std::string>> rows_;
};

struct Statistics {
  index_t count = 0;
  index_t zeros = 0;
  index_t nans = 0;
  double min = std::numeric_limits<double>::infinity();  // of what is a number
  double max = -std::numeric_limits<double>::infinity();
  double sum = 0;

  // By bits: where denormals are flushed, x == 0 holds for them too.
  static bool is_zero(float x) { return std::bit_cast<std::uint32_t>(x) << 1 == 0; }
  static bool is_zero(double x) { return std::bit_cast<std::uint64_t>(x) << 1 == 0; }
  static bool is_zero(std::integral auto x) { return x == 0; }

  template <class T>
  void add(Span<const std::byte> bytes) {
    for (std::size_t offset = 0; offset < bytes.size(); offset += sizeof(T)) {
      T element;
      std::memcpy(&element, bytes.data() + offset, sizeof element);
      const auto value = static_cast<double>(element);
      ++count;
      zeros += is_zero(element) ? 1 : 0;
      sum += value;
      if (std::isnan(value)) {
        ++nans;
      } else {
        min = std::min(min, value);
        max = std::max(max, value);
      }
    }
  }
};

Statistics statistics_of(const FileReader& file, const Entry& entry) {
  Statistics statistics;
  file.for_each_piece(entry, [&](const detail::Piece&, Span<const std::byte> bytes) {
    switch (entry.dtype) {
      case DType::float32:
        return statistics.add<float>(bytes);
      case DType::float64:
        return statistics.add<double>(bytes);
      case DType::int64:
        return statistics.add<std::int64_t>(bytes);
      case DType::uint8:
        return statistics.add<std::uint8_t>(bytes);
      case DType::uint16:
        return statistics.add<std::uint16_t>(bytes);
      case DType::uint32:
        return statistics.add<std::uint32_t>(bytes);
      case DType::int8:
        return statistics.add<std::int8_t>(bytes);
      case DType::int16:
        return statistics.add<std::int16_t>(bytes);
      case DType::int32:
        return statistics.add<std::int32_t>(bytes);
    }
  });
  return statistics;
}

std::string value_text(const FileReader& file, const Entry& entry) {
  if (entry.kind != Entry::Kind::text)
    return entry.dtype == DType::int64 ? fmt::format("{}", file.read_number<std::int64_t>(entry))
                                       : fmt::format("{}", file.read_number<double>(entry));
  std::string text = file.read_text(entry);
  while (text.ends_with('\n')) text.pop_back();
  const auto lines = 1 + std::count(text.begin(), text.end(), '\n');
  if (lines == 1) return text;
  return fmt::format("{} lines (h5dump -d /{} prints them)", lines, entry.path);
}

std::string header_table(const FileReader& file, const detail::UserBlock& block) {
  Table table({Align::left, Align::left});
  table.add({"checkpoint", file.path().string()});
  table.add({"size", fmt::format("{} bytes", block.file_bytes)});
  table.add({"digest", fmt::format("{} (XXH3-128)", detail::hex(block.digest))});
  for (const Entry& entry : file.entries())
    if (entry.kind != Entry::Kind::array) table.add({entry.path, value_text(file, entry)});
  return table.text();
}

std::string array_table(const FileReader& file) {
  using enum Align;
  Table table({left, left, left, right, right, right, right, left});
  table.add({"array", "type", "shape", "min", "max", "mean", "zeros", ""});
  for (const Entry& entry : file.entries()) {
    if (entry.kind != Entry::Kind::array) continue;
    const Statistics found = statistics_of(file, entry);
    const auto number = [&](double value) {
      return found.count == found.nans ? "-" : fmt::format("{:.6g}", value);
    };
    const auto count = static_cast<double>(found.count);
    table.add({entry.path, detail::name(entry.dtype), tensor::to_string(entry.shape), number(found.min),
               number(found.max), found.count == 0 ? "-" : fmt::format("{:.6g}", found.sum / count),
               found.count == 0 ? "-" : fmt::format("{:.1f}%", 100 * static_cast<double>(found.zeros) / count),
               found.nans == 0 ? "" : fmt::format("{} NaN", found.nans)});
  }
  return table.text();
}

// By the first group of the path: "parameters", "optimizer".
std::string totals_table(const FileReader& file) {
  struct Total {
    index_t arrays = 0, elements = 0, bytes = 0;
  };
  std::map<std::string, Total> totals;
  Total all;
  for (const Entry& entry : file.entries()) {
    if (entry.kind != Entry::Kind::array) continue;
    for (Total* total : {&totals[entry.path.substr(0, entry.path.find('/'))], &all}) {
      ++total->arrays;
      total->elements += entry.elements();
      total->bytes += entry.bytes();
    }
  }
  Table table({Align::left, Align::right, Align::right, Align::right});
  table.add({"total", "arrays", "elements", "bytes"});
  const auto add = [&](const std::string& name, const Total& total) {
    table.add({name, fmt::format("{}", total.arrays), fmt::format("{}", total.elements),
               fmt::format("{}", total.bytes)});
  };
  for (const auto& [name, total] : totals) add(name, total);
  add("all", all);
  return table.text();
}

}  // namespace

std::string inspect(const std::filesystem::path& file) {
  return detail::reading(file, [&] {
    const detail::UserBlock block = detail::verify_bytes(file);
    const FileReader reader(file);
    return header_table(reader, block) + "\n" + array_table(reader) + "\n" + totals_table(reader);
  });
}

}  // namespace switchyard::checkpoint
