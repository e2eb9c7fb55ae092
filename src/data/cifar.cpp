#include "data/cifar.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <limits>
#include <string_view>
#include <system_error>
#include <utility>

#include "base/error.hpp"
#include "base/name_lines.hpp"
#include "base/span.hpp"
#include "data/detail/byte_reader.hpp"

namespace switchyard::data {
namespace {

namespace fs = std::filesystem;

constexpr std::array<std::string_view, 5> cifar10_train = {
    "data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin", "data_batch_5.bin"};
constexpr std::array<std::string_view, 1> cifar10_test = {"test_batch.bin"};
constexpr std::array<std::string_view, 1> cifar100_train = {"train.bin"};
constexpr std::array<std::string_view, 1> cifar100_test = {"test.bin"};

constexpr std::string_view source_of_files =
    "get the binary version from the CIFAR page of the University of Toronto and set data.dir to its folder, "
    "cifar-10-batches-bin or cifar-100-binary";

std::string_view name_of(CifarKind kind) { return kind == CifarKind::cifar10 ? "CIFAR-10" : "CIFAR-100"; }

bool any_exists(const fs::path& dir, Span<const std::string_view> names) {
  return std::ranges::any_of(
      names, [&](std::string_view name) { return detail::plain_or_compressed(dir / name).has_value(); });
}

CifarKind kind_in(const fs::path& dir) {
  const bool cifar10 = any_exists(dir, cifar10_train) || any_exists(dir, cifar10_test);
  const bool cifar100 = any_exists(dir, cifar100_train) || any_exists(dir, cifar100_test);
  if (cifar10 != cifar100) return cifar10 ? CifarKind::cifar10 : CifarKind::cifar100;
  constexpr std::string_view names =
      "data_batch_1.bin to data_batch_5.bin and test_batch.bin of CIFAR-10, train.bin and test.bin of "
      "CIFAR-100, each plain or .gz";
  if (cifar10)
    throw DataError(
        fmt::format("{} holds files of both CIFAR-10 and CIFAR-100 (looked for {}); keep each data set in a "
                    "folder of its own",
                    dir.string(), names));
  throw DataError(fmt::format("{} holds no file of CIFAR-10 or CIFAR-100 (looked for {}); {}", dir.string(),
                              names, source_of_files));
}

// Labels of the records that `file` added to `records` from row `first` on.
void check_labels(const CifarRecords& records, index_t first, const fs::path& file) {
  const auto check = [&](index_t row, index_t byte, std::string_view what, index_t classes) {
    const index_t value = records.record(row)[byte];
    if (value < classes) return;
    throw DataError(
        fmt::format("{} has the {} {} at byte {} ({} has 0 to {}); it is damaged or no such file, download it "
                    "again",
                    file.string(), what, value, (row - first) * records.record_bytes() + byte,
                    name_of(records.kind), classes - 1));
  };
  for (index_t row = first; row < records.count(); ++row) {
    if (records.kind == CifarKind::cifar10) {
      check(row, 0, "label", cifar10_classes);
    } else {
      check(row, 0, "coarse label", cifar100_coarse_classes);
      check(row, 1, "fine label", cifar100_fine_classes);
    }
  }
}

void append_file(const fs::path& named, CifarRecords& records) {
  const auto file = detail::plain_or_compressed(named);
  if (!file)
    throw DataError(fmt::format("neither {} nor {}.gz exists (the folder holds other files of {}); {}",
                                named.string(), named.filename().string(), name_of(records.kind),
                                source_of_files));
  const index_t first = records.count();
  const std::size_t before = records.bytes.size();
  detail::ByteReader(*file).append_to(records.bytes, std::numeric_limits<std::size_t>::max());
  const auto got = static_cast<index_t>(records.bytes.size() - before);
  const index_t whole = got / records.record_bytes();
  if (got == 0)
    throw DataError(fmt::format("{} is empty (a record of {} has {} bytes); download it again", file->string(),
                                name_of(records.kind), records.record_bytes()));
  if (got % records.record_bytes() != 0)
    throw DataError(fmt::format(
        "{} has {} bytes and ends within the record at byte {} (a record of {} has {} bytes); it is truncated "
        "or no such file, download it again",
        file->string(), got, whole * records.record_bytes(), name_of(records.kind), records.record_bytes()));
  check_labels(records, first, *file);
}

CifarRecords read_files(CifarKind kind, const fs::path& dir, Span<const std::string_view> names) {
  CifarRecords records{kind, {}};
  for (const std::string_view name : names) append_file(dir / name, records);
  records.bytes.shrink_to_fit();
  return records;
}

// The names in a list that may be there, and tell so many classes apart; else none, and a remark that says why.
std::vector<std::string> read_names(const fs::path& file, index_t count, Cifar& cifar) {
  constexpr std::size_t most_bytes = 65536;
  std::error_code error;
  if (!fs::exists(file, error)) return {};
  std::vector<std::string> names;
  std::string why = "is no regular file";
  if (fs::is_regular_file(file, error)) {
    std::vector<std::uint8_t> bytes;
    detail::ByteReader(file).append_to(bytes, most_bytes);
    bytes.push_back('\n');  // the last one may lack it
    names = names_on_lines({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
    for (std::string& name : names) {
      if (name.ends_with('\r')) name.pop_back();
      name = printable(name);
    }
    while (!names.empty() && names.back().empty()) names.pop_back();
    std::string flaw = flaw_of(names);
    if (flaw.empty() && std::ssize(names) == count) return names;
    why = "has " + (std::ssize(names) != count ? fmt::format("{} lines", names.size()) : flaw);
  }
  cifar.remarks.push_back(fmt::format(
      "{} gives no names (it {}, and {} has {} classes); write the name of each on a line, or remove it",
      file.string(), why, name_of(cifar.kind), count));
  return {};
}

}  // namespace

Cifar read_cifar(const fs::path& dir) {
  Cifar cifar;
  cifar.kind = kind_in(dir);
  if (cifar.kind == CifarKind::cifar10) {
    cifar.train = read_files(cifar.kind, dir, cifar10_train);
    cifar.test = read_files(cifar.kind, dir, cifar10_test);
    cifar.fine_names = read_names(dir / "batches.meta.txt", cifar10_classes, cifar);
  } else {
    cifar.train = read_files(cifar.kind, dir, cifar100_train);
    cifar.test = read_files(cifar.kind, dir, cifar100_test);
    cifar.fine_names = read_names(dir / "fine_label_names.txt", cifar100_fine_classes, cifar);
    cifar.coarse_names = read_names(dir / "coarse_label_names.txt", cifar100_coarse_classes, cifar);
  }
  return cifar;
}

}  // namespace switchyard::data
