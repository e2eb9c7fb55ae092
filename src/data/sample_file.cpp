#include "data/sample_file.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <numeric>
#include <string_view>
#include <utility>

#include "base/contract.hpp"
#include "base/name_lines.hpp"
#include "data/detail/number_array.hpp"
#include "data/detail/source.hpp"

namespace switchyard::data {
namespace {

using checkpoint::DType;
using checkpoint::MadeArray;
using detail::NumberType;

constexpr std::array split_names = {std::pair{Split::train, "train"},
                                    std::pair{Split::validation, "validation"}, std::pair{Split::test, "test"}};

DType dtype_of(NumberType type) {
  switch (type) {
    case NumberType::uint8:
      return DType::uint8;
    case NumberType::int8:
      return DType::int8;
    case NumberType::int16:
      return DType::int16;
    case NumberType::int32:
      return DType::int32;
    case NumberType::float32:
      return DType::float32;
    case NumberType::float64:
      break;
  }
  return DType::float64;
}

// An array of T of which fill(samples, out) writes the rows of those samples. A piece is of whole rows, unless
// one is larger than a piece: then the row is made for each part of it.
template <class T, class Fill>
MadeArray made_of_rows(std::string path, DType type, tensor::Shape shape, const Fill& fill) {
  const index_t width = tensor::element_count(shape) / shape[0];
  return {std::move(path), type, std::move(shape), [width, fill](IndexRange elements, Span<std::byte> bytes) {
            const index_t first = elements.begin / width;
            Vector<index_t> samples((elements.end + width - 1) / width - first);
            std::iota(samples.begin(), samples.end(), first);
            Vector<T> rows(std::ssize(samples) * width);
            fill(Span<const index_t>(samples), rows);
            std::memcpy(bytes.data(), rows.data() + (elements.begin - first * width), bytes.size());
          }};
}

// Of a whole number for each sample.
template <class Number>
MadeArray made_of_numbers(std::string path, index_t count, const Number& number) {
  return made_of_rows<std::int64_t>(std::move(path), DType::int64, {count},
                                    [number](Span<const index_t> samples, Span<std::int64_t> out) {
                                      for (std::size_t i = 0; i < samples.size(); ++i)
                                        out[i] = number(samples[i]);
                                    });
}

void add_tokens(std::vector<MadeArray>& arrays, const Dataset& dataset, Split split, const std::string& path) {
  const auto add = [&](const char* name, bool wants_targets) {
    arrays.push_back(made_of_rows<std::int64_t>(
        path + name, DType::int64, {dataset.size(split), dataset.window()},
        [&dataset, split, wants_targets](Span<const index_t> samples, Span<std::int64_t> out) {
          std::vector<std::int32_t> tokens(out.size()), targets(out.size());
          dataset.fill_tokens(split, samples, tokens, targets);
          std::ranges::copy(wants_targets ? targets : tokens, out.begin());
        }));
  };
  add("tokens", false);
  add("targets", true);
}

MadeArray stored_rows(const Dataset& dataset, Split split, const std::string& path) {
  const detail::NumberArray* const stored = dataset.source().stored(split);
  SY_EXPECTS(stored != nullptr, "no table is stored of {}", path);
  return {path + "samples", dtype_of(stored->type()), stored->shape(),
          [stored](IndexRange elements, Span<std::byte> bytes) { stored->read_bytes(elements, bytes); }};
}

MadeArray seen_rows(const Dataset& dataset, Split split, const std::string& path) {
  const tensor::SampleShape& shape = dataset.shape();
  return made_of_rows<float>(
      path + "samples", DType::float32, {dataset.size(split), shape.channels, shape.height, shape.width},
      [&dataset, split](Span<const index_t> samples, Span<float> out) {
        dataset.fill(split, samples, {out.data(), std::ssize(samples), dataset.shape().features()});
      });
}

// Labels that are real numbers, as the data have them.
MadeArray target_rows(const Dataset& dataset, Split split, const std::string& path) {
  const index_t count = dataset.size(split), targets = dataset.target_count();
  const tensor::Shape shape = dataset.has_flat_targets() ? tensor::Shape{count} : tensor::Shape{count, targets};
  return made_of_rows<double>(path + "labels", DType::float64, shape,
                              [&dataset, split, targets](Span<const index_t> samples, Span<double> out) {
                                for (index_t i = 0; i < std::ssize(out); ++i)
                                  out[i] = dataset.target(split, samples[i / targets], i % targets);
                              });
}

MadeArray weight_rows(const Dataset& dataset, Split split, const std::string& path) {
  return made_of_rows<double>(path + "weights", DType::float64, {dataset.size(split)},
                              [&dataset, split](Span<const index_t> samples, Span<double> out) {
                                for (std::size_t i = 0; i < samples.size(); ++i)
                                  out[i] = dataset.source().weight(split, samples[i]);
                              });
}

void add_split(std::vector<MadeArray>& arrays, const Dataset& dataset, Split split, const std::string& path,
               SampleForm form) {
  const index_t count = dataset.size(split);
  const bool is_stored = form == SampleForm::stored;
  const auto add = [&](const char* name, const auto& number) {
    arrays.push_back(made_of_numbers(path + name, count, number));
  };
  if (dataset.window() > 0) {
    add_tokens(arrays, dataset, split, path);
  } else {
    arrays.push_back(is_stored ? stored_rows(dataset, split, path) : seen_rows(dataset, split, path));
    if (dataset.target_count() > 0) {
      if (!is_stored || dataset.has_labels(split)) arrays.push_back(target_rows(dataset, split, path));
    } else if (!is_stored || dataset.has_labels(split))
      add("labels", [&dataset, split](index_t sample) { return dataset.source().label(split, sample); });
    if (!is_stored || dataset.has_ids(split))
      add("ids", [&dataset, split](index_t sample) { return dataset.id(split, sample); });
  }
  if (dataset.has_weights(split)) arrays.push_back(weight_rows(dataset, split, path));
  if (dataset.group_count() > 0)
    add("clusters", [&dataset, split](index_t sample) { return dataset.source().group(split, sample); });
}

constexpr std::array type_names = {"float32", "float64", "int64", "uint8", "uint16",
                                   "uint32",  "int8",    "int16", "int32"};  // in the order of DType

}  // namespace

std::vector<WrittenArray> write_samples(const std::filesystem::path& file, const Dataset& dataset,
                                        SampleForm form, checkpoint::Header header) {
  std::vector<MadeArray> arrays;
  for (const auto& [split, name] : split_names) {
    if (dataset.size(split) > 0) add_split(arrays, dataset, split, fmt::format("{}/", name), form);
  }
  if (form == SampleForm::stored) {
    header.integers["classes"] = dataset.class_count();
    if (dataset.group_count() > 0) header.integers["clusters"] = dataset.group_count();
    if (const std::vector<std::string> names = dataset.feature_names(); !names.empty())
      header.texts["columns"] = lines_of(names);
    if (const std::vector<std::string> names = dataset.class_names(); !names.empty())
      header.texts["class_names"] = lines_of(names);
  }
  checkpoint::write_arrays(file, header, Span<const MadeArray>(arrays));
  std::vector<WrittenArray> written;
  for (const MadeArray& array : arrays)
    written.push_back({array.path, array.shape, type_names[as_size(array.dtype)]});
  return written;
}

}  // namespace switchyard::data
