// The vocabulary that a run's tokens are of: its checkpoints hold it, so that they can be asked for text
// without the file of tokens.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "checkpoint/checkpoint.hpp"
#include "data/dataset.hpp"
#include "data/token_text.hpp"
#include "run/config.hpp"

namespace switchyard::run {

// Where it is in a checkpoint: a model as SentencePiece's programs read it.
inline constexpr std::string_view vocabulary_path = "data/vocabulary";

// Empty where there is none: tokens are bytes, or an older version wrote the checkpoint. Local.
std::string stored_vocabulary(const checkpoint::Reader& reader);

// The vocabulary of a file of tokens, of a checkpoint or of a run folder. Local. Throws DataError for what is
// none of them or has none.
data::Vocabulary read_vocabulary(const std::filesystem::path& path);

// What the tokens of the checkpoint's run are of a text: by what it holds, else by data.file of `config`.
// Local. Throws DataError if neither says so.
data::TokenText token_text(const checkpoint::Reader& reader, const Config& config);

// Throws DataError if the tokens of the data are others than those that the checkpoint's model knows. Local.
void expect_same_vocabulary(const checkpoint::Reader& reader, const data::Dataset& dataset,
                            const Config& config);
// The same, of that vocabulary's model; empty: none is known.
void expect_same_vocabulary(const std::string& model, const data::Dataset& dataset, const Config& config);

}  // namespace switchyard::run
