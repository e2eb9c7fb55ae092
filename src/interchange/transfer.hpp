// A model's way out to files that other programs read, and back in.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/checkpoint.hpp"
#include "interchange/layout.hpp"
#include "interchange/safetensors.hpp"
#include "model/model.hpp"

namespace switchyard::interchange {

inline constexpr std::string_view automatic = "auto";  // a layout that fits

struct ExportOptions {
  std::filesystem::path folder;
  std::string layout = std::string(automatic);
  ElementType type = ElementType::float32;
};

struct Exported {
  const Layout* layout;
  std::vector<std::string> files;    // in the folder
  std::vector<std::string> remarks;  // sentences: why it is no other layout, what is not there
};

// Writes the model of a checkpoint: model.safetensors, config.json where the layout has one, switchyard.ini
// with `config`, and tokenizer.model if the vocabulary that data.file names can be read. The folder is made; no
// file in it is replaced, and model.safetensors comes last. Holds the largest array twice. Local. Throws
// ConfigError, with the key, for a layout that does not fit, DataError for what cannot be read or written.
Exported export_model(const checkpoint::Reader& reader, const run::Config& config,
                      const ExportOptions& options);

// Reads the weights of `model` from `folder`, where --layout=auto is told by the names of arrays. The file must
// hold all of them and no others, of these shapes and finite, and config.json, if it is there, must say the
// arithmetic of `config`. Local; for one rank that has the whole model. Throws DataError, and ConfigError where
// the configuration is none of that layout or another one than config.json's. Returns the layout.
const Layout& import_model(const std::filesystem::path& folder, std::string_view layout,
                           const run::Config& config, model::Model& model);

}  // namespace switchyard::interchange
