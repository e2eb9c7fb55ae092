// What data there are at a place that a user names.
#pragma once

#include <string>

#include "cli/options.hpp"
#include "data/options.hpp"

namespace switchyard::cli {

// data.source, and data.dir or data.file, for a file or a folder: an HDF5 file of samples, a file of tokens, a
// folder of npy, csv, IDX, CIFAR or text files, or of folders of images. Looks at names and at a file's first
// bytes. Throws DataError for what is none of them, and for a folder of several, with what is looked for.
data::Options find_data(const std::string& path);

// `config`, with the keys of [data], of its sources' sections and model.loss that the line gives. ConfigError
// for any other key, in which `command` is named.
void set_data_keys(run::Config& config, const CommandLine& line, std::string_view command);

}  // namespace switchyard::cli
