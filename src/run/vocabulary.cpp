#include "run/vocabulary.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.hpp"
#include "data/corpus.hpp"
#include "files/regular_file.hpp"
#include "run/run_checkpoint.hpp"

namespace switchyard::run {
namespace {

// Rows of the embedding; 0: the model has none.
index_t vocabulary_size(const checkpoint::Reader& reader) {
  for (const checkpoint::Slice& array : reader.arrays())
    if (array.path == "parameters/embedding/weight") return array.shape.at(0);
  return 0;
}

std::string differences(const data::Vocabulary& then, const data::Vocabulary& now) {
  if (then.size() != now.size()) return fmt::format("{} pieces, and that one has {}", now.size(), then.size());
  index_t different = 0, first = -1;
  for (index_t token = 0; token < now.size(); ++token) {
    const auto& [a, b] = std::pair(then.pieces()[as_size(token)], now.pieces()[as_size(token)]);
    if (a.kind == b.kind && a.bytes == b.bytes) continue;
    if (different++ == 0) first = token;
  }
  return different == 0
             ? ""
             : fmt::format("{} of {} pieces are others, the first token {}", different, now.size(), first);
}

}  // namespace

// What is written is only read, but a slice can be either.
std::string stored_vocabulary(const checkpoint::Reader& reader) {
  const std::vector<checkpoint::Slice> arrays = reader.arrays();
  const auto found = std::ranges::find(arrays, vocabulary_path, &checkpoint::Slice::path);
  if (found == arrays.end()) return {};
  std::string model(as_size(tensor::element_count(found->shape)), '\0');
  reader.read({found->path, checkpoint::DType::uint8, found->shape, found->elements,
               reinterpret_cast<std::byte*>(model.data())});
  return model;
}

data::Vocabulary read_vocabulary(const std::filesystem::path& path) {
  const std::string file = checkpoint_file(path);
  if (files::begins_with(file, checkpoint::tokens_mark)) return data::read_vocabulary(file);
  std::string model = stored_vocabulary(checkpoint::Reader(file, checkpoint::file_mark));
  if (model.empty())
    throw DataError(fmt::format(
        "the checkpoint '{}' holds no vocabulary (its tokens are bytes, it has none, or an older version wrote it); "
        "give the file of tokens that its run reads",
        file));
  return data::Vocabulary(std::move(model));
}

data::TokenText token_text(const checkpoint::Reader& reader, const Config& config) {
  if (config.data.source != data::Source::tokens) return {};
  std::string model = stored_vocabulary(reader);
  data::TokenText text = [&] {
    if (!model.empty()) return data::TokenText(data::Vocabulary(std::move(model)));
    try {
      return data::TokenText(data::read_vocabulary(config.data.file));
    } catch (const DataError& error) {
      throw DataError(fmt::format(
          "the checkpoint does not hold its vocabulary (an older version wrote it), and the file of tokens of its "
          "run cannot be had ({}); name it where it lies now: --data.file=FILE",
          error.what()));
    }
  }();
  if (const index_t size = vocabulary_size(reader); size != text.size())
    throw DataError(fmt::format(
        "the vocabulary of '{}' has {} pieces, and the model of the checkpoint knows {} (it was trained with "
        "another); give the file that it was trained with as --data.file=FILE",
        config.data.file, text.size(), size));
  return text;
}

void expect_same_vocabulary(const checkpoint::Reader& reader, const data::Dataset& dataset,
                            const Config& config) {
  expect_same_vocabulary(stored_vocabulary(reader), dataset, config);
}

void expect_same_vocabulary(const std::string& model, const data::Dataset& dataset, const Config& config) {
  const std::string_view now = dataset.vocabulary_model();
  if (model.empty() || model == now) return;
  const std::string why =
      now.empty() ? "they are bytes" : differences(data::Vocabulary(model), data::Vocabulary(std::string(now)));
  if (why.empty()) return;
  throw DataError(fmt::format(
      "the tokens of '{}' are of another vocabulary than the model's ({}); make them of its text with that one: "
      "`switchyard corpus TEXT --vocabulary=RUN --out=FILE`",
      config.data.file, why));
}

}  // namespace switchyard::run
