// The binary files of CIFAR-10 or CIFAR-100 as tables.
#include <fmt/format.h>

#include <array>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "base/error.hpp"
#include "config/field_table.hpp"
#include "data/cifar.hpp"
#include "data/detail/table_source.hpp"

namespace switchyard::data::detail {
namespace {

// Takes records apart: the memory of all of them becomes that of their pixels.
Table table_of(CifarRecords records, LabelLevel level, const std::string& name) {
  const index_t count = records.count();
  std::vector<std::int64_t> labels, clusters;
  for (index_t row = 0; row < count; ++row) {
    const bool is_fine = level == LabelLevel::fine;
    labels.push_back(is_fine ? records.fine_label(row) : records.coarse_label(row));
    if (records.kind == CifarKind::cifar100 && is_fine) clusters.push_back(records.coarse_label(row));
  }
  constexpr index_t features = cifar_shape.features();
  for (index_t row = 0; row < count; ++row)
    std::memmove(records.bytes.data() + row * features, records.pixels(row), as_size(features));
  records.bytes.resize(as_size(count * features));
  Table table{
      NumberArray(name, NumberType::uint8, {count, cifar_shape.channels, cifar_shape.height, cifar_shape.width},
                  std::move(records.bytes)),
      LabelArray{name, std::move(labels)}};
  if (!clusters.empty()) table.clusters = LabelArray{name, std::move(clusters)};
  return table;
}

index_t classes_of(CifarKind kind, LabelLevel level) {
  if (kind == CifarKind::cifar10) return cifar10_classes;
  return level == LabelLevel::fine ? cifar100_fine_classes : cifar100_coarse_classes;
}

constexpr std::array label_words = {config::Word{LabelLevel::fine, "fine"},
                                    config::Word{LabelLevel::coarse, "coarse"}};
constexpr config::FieldTable<CifarOptions> arithmetic{config::Role::arithmetic};
constexpr std::array fields = {
    arithmetic.choice<&CifarOptions::labels, label_words>(
        "labels", "of CIFAR-100, the 100 fine or the 20 coarse ones; fine: the coarse one is the cluster"),
};

Tables read_tables(const Options& options, const Reading& /*reading*/) {
  if (options.dir.empty())
    throw ConfigError("data.dir is empty (data.source = cifar reads its files from there); set data.dir");
  Cifar files = read_cifar(options.dir);
  if (files.kind == CifarKind::cifar10 && options.cifar.labels == LabelLevel::coarse)
    throw ConfigError(fmt::format(
        "cifar.labels = coarse but {} holds CIFAR-10 (only CIFAR-100 has coarse labels); remove it, or "
        "set data.dir to CIFAR-100",
        options.dir));
  const LabelLevel level = options.cifar.labels;
  Tables tables;
  tables.train = table_of(std::move(files.train), level, options.dir + ": training images");
  tables.test = table_of(std::move(files.test), level, options.dir + ": test images");
  tables.remarks = std::move(files.remarks);
  tables.least_classes = classes_of(files.kind, level);
  tables.class_names = level == LabelLevel::fine ? std::move(files.fine_names) : files.coarse_names;
  if (tables.train->clusters) {
    tables.least_clusters = cifar100_coarse_classes;
    tables.cluster_names = std::move(files.coarse_names);
  }
  return tables;
}

}  // namespace

SourceKind cifar_source() {
  return {.reads_files = true,
          .reads_images = true,
          .divides_files = true,
          .section = config::section_at<&Options::cifar>("cifar", "data.source = cifar", fields),
          .describe = [](const Options& options) { return options.dir; },
          .read_tables = read_tables};
}

}  // namespace switchyard::data::detail
