#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "base/error.hpp"
#include "config/messages.hpp"
#include "files/regular_file.hpp"
#include "interchange/transfer.hpp"

namespace switchyard::interchange {
namespace {

namespace fs = std::filesystem;

const Layout& recognise(const StoredArrays& arrays) {
  const auto has_mark = [&](const Layout& layout) {
    return std::ranges::any_of(
        arrays, [&](const auto& array) { return array.first.find(layout.mark) != std::string::npos; });
  };
  const auto found = std::ranges::find_if(layouts(), has_mark);
  return found == layouts().end() ? layout_of("plain") : *found;
}

// Null if there is none. `text` may be anybody's.
Json parse_config(const fs::path& file) {
  if (!files::is_there(file)) return nullptr;
  constexpr std::size_t most_bytes = 1 << 20;
  constexpr int most_levels = 32;
  const std::string text = files::read_regular_file(file, most_bytes);
  Json config = Json::parse(
      text,
      [](int level, Json::parse_event_t, Json&) {
        return level <= most_levels;  // what is deeper is nothing that is asked for
      },
      /*allow_exceptions=*/false);
  if (!config.is_object())
    throw DataError(fmt::format("'{}' is no JSON object; take it away, or copy it again", file.string()));
  return config;
}

// Newer versions of transformers keep what concerns rotary positions in an object of its own.
void flatten_rotary(Json& config) {
  for (const char* const name : {"rope_parameters", "rope_scaling"}) {
    const auto found = config.find(name);
    if (found == config.end() || !found->is_object()) continue;
    const Json rotary = *found;
    config.erase(found);
    for (const auto& [key, value] : rotary.items()) {
      if (key == "rope_theta" || key == "rope_type" || key == "type")
        config[key] = value;
      else
        config[fmt::format("{}.{}", name, key)] = value;
    }
  }
}

// What changes no number that such a model computes of a text.
constexpr std::string_view of_no_arithmetic[] = {
    "_name_or_path",   "attention_dropout",    "bos_token_id",
    "dtype",           "eos_token_id",         "initializer_range",
    "layer_types",     "max_window_layers",    "pad_token_id",
    "pretraining_tp",  "router_aux_loss_coef", "torch_dtype",
    "tokenizer_class", "transformers_version", "max_position_embeddings",
    "use_cache"};

// Nothing, in whatever type: a key of another model's that this one does not use.
bool is_nothing(const Json& value) {
  return value.is_null() || (value.is_boolean() && !value.get<bool>()) ||
         (value.is_number() && value.get<double>() == 0) || (value.is_structured() && value.empty()) ||
         (value.is_string() && value.get<std::string>().empty());
}

// What the arithmetic of our model makes of keys that no layout needs to write.
Json with_implied(Json expected) {
  expected["rope_type"] = expected["type"] = "default";
  expected["partial_rotary_factor"] = expected["rope_parameters.partial_rotary_factor"] = 1.0;
  expected["head_dim"] =
      expected["hidden_size"].get<index_t>() / expected["num_attention_heads"].get<index_t>();
  return expected;
}

void expect_no_arithmetic(const std::string& key, const Json& value, const fs::path& file) {
  if (is_nothing(value) || std::ranges::find(of_no_arithmetic, key) != std::end(of_no_arithmetic)) return;
  throw ConfigError(fmt::format(
      "'{}' says {} = {}, of which nothing is known here (it may be another function); take it out if it changes "
      "nothing",
      file.string(), key, value.dump()));
}

// Whether two programs compute the same is only known of what both say.
void expect_same_arithmetic(const Json& expected, Json found, const fs::path& file) {
  if (found.is_null()) return;
  flatten_rotary(found);
  const Json all = with_implied(expected);
  for (const auto& [key, value] : found.items()) {
    if (key == "architectures" || value.is_null()) continue;
    const auto ours = all.find(key);
    if (ours == all.end()) {
      expect_no_arithmetic(key, value, file);
    } else if (value != *ours) {
      throw ConfigError(fmt::format(
          "'{}' says {} = {}, and the configuration makes it {} (it would be another function); give the "
          "configuration of that model with --config=FILE.ini or --section.key=value",
          file.string(), key, value.dump(), ours->dump()));
    }
  }
}

// Puts the numbers of a part where they are in ours.
void scatter(const Part& part, Span<const float> values, float* ours, const tensor::Shape& shape) {
  const float factor = 1.0F / part.factor;
  if (part.columns.empty()) {
    std::ranges::transform(values, ours, [&](float value) { return value * factor; });
    return;
  }
  const index_t outputs = part.shape[0], inputs = part.shape[1];
  for (index_t o = 0; o < outputs; ++o)
    for (index_t i = 0; i < inputs; ++i)
      ours[i * shape[1] + part.columns.begin + o] = factor * values[o * inputs + i];
}

class Importer {
 public:
  Importer(const fs::path& file, model::Model& model) : file_(file), reader_(file) {
    for (const run::Held& held : run::arrays_of(model)) {
      shapes_[held.path] = held.array.shape;
      ours_[held.path] = held.array.data;
    }
  }

  const SafetensorsReader& reader() const { return reader_; }
  const run::Shapes& shapes() const { return shapes_; }

  void read(const std::vector<Part>& parts) {
    for (const Part& part : parts) expect_array(part);
    std::map<std::string, const Part*> known;
    for (const Part& part : parts) known[part.name] = &part;
    for (const auto& [name, array] : reader_.arrays()) {
      if (!known.contains(name)) refuse("its array {} has no place in this model", config::in_quotes(name));
    }
    for (const Part& part : parts) read(part);
  }

 private:
  template <class... Args>
  [[noreturn]] void refuse(fmt::format_string<Args...> message, Args&&... args) const {
    throw DataError(
        fmt::format("'{}' does not hold this model ({}); give the configuration of its model with "
                    "--config=FILE.ini or --section.key=value, or another file",
                    file_.string(), fmt::format(message, std::forward<Args>(args)...)));
  }

  void expect_array(const Part& part) const {
    const auto found = reader_.arrays().find(part.name);
    if (found == reader_.arrays().end()) {
      if (tensor::element_count(part.shape) > 0) refuse("it has no array '{}'", part.name);
    } else if (found->second.shape != part.shape) {
      refuse("its array '{}' has the shape {}, and the model's {}", part.name,
             tensor::to_string(found->second.shape), tensor::to_string(part.shape));
    }
  }

  void read(const Part& part) {
    if (tensor::element_count(part.shape) == 0) return;
    const Vector<float> values = reader_.read(reader_.arrays().at(part.name));
    if (!std::ranges::all_of(values, [](float value) { return std::isfinite(value); }))
      throw DataError(fmt::format("'{}' of '{}' holds a number that is not finite; give another file",
                                  part.name, file_.string()));
    if (part.path.empty()) {
      if (std::ranges::any_of(values, [](float value) { return value != 0.0F; }))
        refuse("its array '{}' is not zeros, and the model has nothing in its place", part.name);
      return;
    }
    scatter(part, values, ours_.at(part.path), shapes_.at(part.path));
  }

  fs::path file_;
  SafetensorsReader reader_;
  run::Shapes shapes_;
  std::map<std::string, float*> ours_;
};

}  // namespace

const Layout& import_model(const fs::path& folder, std::string_view layout, const run::Config& config,
                           model::Model& model) {
  Importer importer(folder / "model.safetensors", model);
  const Subject subject{config, importer.shapes()};
  const Layout& of = layout == automatic ? recognise(importer.reader().arrays()) : layout_of(layout);
  if (const std::string reason = misfit(of, subject); !reason.empty()) {
    throw ConfigError(fmt::format(
        "'{}' is of layout {}, and the configuration's model is not: {}; give the configuration of that model "
        "with --config=FILE.ini or --section.key=value",
        folder.string(), of.name, reason));
  }
  if (of.config != nullptr)
    expect_same_arithmetic(of.config(subject), parse_config(folder / "config.json"), folder / "config.json");
  importer.read(of.parts(subject));
  model.values_changed();
  return of;
}

}  // namespace switchyard::interchange
