#include <fmt/format.h>

#include <algorithm>
#include <system_error>

#include "base/error.hpp"
#include "data/corpus.hpp"
#include "data/options.hpp"
#include "files/regular_file.hpp"
#include "interchange/transfer.hpp"
#include "run/vocabulary.hpp"

namespace switchyard::interchange {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view place = "--out=FOLDER";

// The layout that is asked for, or the first that fits.
const Layout& choose_layout(const std::string& asked, const Subject& subject,
                            std::vector<std::string>& remarks) {
  if (asked != automatic) {
    const Layout& layout = layout_of(asked);
    if (const std::string reason = misfit(layout, subject); !reason.empty()) {
      throw ConfigError(
          fmt::format("the model does not fit --layout={}: {}; use --layout=auto, which finds one "
                      "that does",
                      asked, reason));
    }
    return layout;
  }
  for (const Layout& layout : layouts()) {
    const std::string reason = misfit(layout, subject);
    if (reason.empty()) return layout;
    remarks.push_back(fmt::format("not {}: {}", layout.name, reason));
  }
  throw ContractViolation("a layout fits any model");
}

// The one array that several parts in a row are of is read once.
class ArraySource {
 public:
  ArraySource(const checkpoint::Reader& reader, const run::Shapes& shapes) : reader_(reader), shapes_(shapes) {}

  Span<const float> read(const std::string& path) {
    if (path != path_) {
      const tensor::Shape& shape = shapes_.at(path);
      values_.resize(tensor::element_count(shape));
      reader_.read({path, checkpoint::DType::float32, shape, checkpoint::all_elements(shape),
                    reinterpret_cast<std::byte*>(values_.data())});
      path_ = path;
    }
    return values_;
  }

 private:
  const checkpoint::Reader& reader_;
  const run::Shapes& shapes_;
  std::string path_;
  Vector<float> values_;
};

// What the part's file holds of ours.
void gather(const Part& part, Span<const float> ours, Vector<float>& values) {
  values.assign(tensor::element_count(part.shape), 0.0F);
  if (part.path.empty() || values.empty()) return;
  if (part.columns.empty()) {
    std::ranges::copy(ours, values.begin());
  } else {
    const index_t outputs = part.shape[0], inputs = part.shape[1];
    const index_t stride = std::ssize(ours) / inputs;
    for (index_t o = 0; o < outputs; ++o)
      for (index_t i = 0; i < inputs; ++i) values[o * inputs + i] = ours[i * stride + part.columns.begin + o];
  }
  for (float& value : values) value *= part.factor;
}

void write_weights(const fs::path& file, ElementType type, const std::vector<Part>& parts, ArraySource source) {
  std::vector<ArrayToWrite> arrays;
  for (const Part& part : parts) arrays.push_back({part.name, part.shape});
  SafetensorsWriter writer(file, type, arrays, place);
  Vector<float> values;
  for (const Part& part : parts) {
    gather(part, part.path.empty() ? Span<const float>() : source.read(part.path), values);
    writer.write(values);
  }
  writer.publish();
}

bool has_vocabulary(const run::Config& config) { return config.data.source == data::Source::tokens; }

// The bytes of the vocabulary's model, of the checkpoint or, where it holds none, of the file of tokens; empty,
// with a remark, where there is none.
std::string vocabulary_of(const checkpoint::Reader& reader, const run::Config& config, index_t vocabulary,
                          std::vector<std::string>& remarks) {
  const auto without = [&](const std::string& why) {
    remarks.push_back("no tokenizer.model: " + why);
    return std::string();
  };
  if (!has_vocabulary(config)) return without("the model's tokens are no pieces of a vocabulary");
  if (std::string model = run::stored_vocabulary(reader); !model.empty()) return model;
  try {
    std::string model = data::read_vocabulary(config.data.file).model();
    const index_t size = data::Vocabulary(model).size();
    if (size == vocabulary) return model;
    return without(fmt::format("{} has {} tokens, and the model {}", config.data.file, size, vocabulary));
  } catch (const DataError& error) {
    return without(error.what());
  }
}

// The arithmetic, and what else a program may ask: how long sequences were, what ends a text.
std::string config_text(const Layout& layout, const Subject& subject, ElementType type) {
  Json config = layout.config(subject);
  config["max_position_embeddings"] = subject.config.model.transformer.window;
  config["torch_dtype"] = type == ElementType::float32 ? "float32" : "bfloat16";
  config["bos_token_id"] = nullptr;
  config["eos_token_id"] =
      has_vocabulary(subject.config) ? Json(data::Vocabulary::end_of_document) : Json(nullptr);
  config["pad_token_id"] = nullptr;
  return config.dump(2) + '\n';
}

void make_folder(const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  std::error_code ignored;
  if (!fs::is_directory(folder, ignored)) {
    throw DataError(fmt::format("cannot make the folder {} ({}); choose another {}", folder.string(),
                                error ? error.message() : "something else has the name", place));
  }
  for (const char* const name : {"model.safetensors", "config.json", "switchyard.ini", "tokenizer.model"}) {
    if (!files::is_there(folder / name)) continue;
    throw DataError(
        fmt::format("{} is there already (an exported model is not replaced); remove it, or choose "
                    "another {}",
                    (folder / name).string(), place));
  }
}

}  // namespace

Exported export_model(const checkpoint::Reader& reader, const run::Config& config,
                      const ExportOptions& options) {
  const run::Shapes arrays = run::arrays_in(reader);
  const Subject subject{config, arrays};
  Exported exported;
  exported.layout = &choose_layout(options.layout, subject, exported.remarks);
  make_folder(options.folder);
  const auto write = [&](const char* name, const std::string& text) {
    files::replace_file(options.folder / name, text, place);
    exported.files.emplace_back(name);
  };
  if (exported.layout->config != nullptr) {
    write("config.json", config_text(*exported.layout, subject, options.type));
  } else {
    exported.remarks.emplace_back("no config.json: no other program reads this layout");
  }
  write("switchyard.ini", run::schema().to_ini(config));
  if (model::reads_tokens(config.model.family)) {
    const auto embedding = arrays.find("parameters/embedding/weight");
    const index_t vocabulary = embedding == arrays.end() ? 0 : embedding->second[0];
    if (const std::string model = vocabulary_of(reader, config, vocabulary, exported.remarks); !model.empty())
      write("tokenizer.model", model);
  }
  write_weights(options.folder / "model.safetensors", options.type, exported.layout->parts(subject),
                {reader, arrays});
  exported.files.emplace_back("model.safetensors");
  return exported;
}

}  // namespace switchyard::interchange
