// What a checkpoint holds of its data besides who they are: with it a model meets other samples as it met its
// own.
#pragma once

#include <vector>

#include "checkpoint/checkpoint.hpp"
#include "data/dataset.hpp"
#include "model/model.hpp"
#include "run/config.hpp"

namespace switchyard::run {

// To be written: data/classes and, of samples, data/shape of one, data/pixels (whether numbers are that) and
// data/columns (their names, a line each, where they have some), and data/class_names (where classes have
// some).
void add_data_facts(const data::Dataset& dataset, checkpoint::Header& header);
// And data/vocabulary (vocabulary.hpp); data/mean and data/standard_deviation where data.normalise takes them
// from the training samples. They point into the data set.
std::vector<checkpoint::Slice> data_arrays(const data::Dataset& dataset);

// `config` for data that take their scales from the checkpoint, if it holds some, and not from themselves.
// Local.
Config without_own_scales(const checkpoint::Reader& reader, Config config);

// Data that were read so become what the checkpoint's model is asked about; what they ask of it (they may lack
// its last classes). Throws DataError for samples that are not of its kind. Local.
model::Task fit_to_checkpoint(const checkpoint::Reader& reader, data::Dataset& dataset);

}  // namespace switchyard::run
