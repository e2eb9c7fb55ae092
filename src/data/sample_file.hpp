// Samples as an HDF5 file that data.source = hdf5 reads.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "checkpoint/checkpoint.hpp"
#include "data/dataset.hpp"

namespace switchyard::data {

// What of the samples is written.
enum class SampleForm {
  seen,   // what a run sees: floats as they come out of data.normalise, and the splits that the run has
  stored  // what the files hold: numbers of their own type, and the splits that they have (Purpose::conversion)
};

// An array of the file, for what is printed of it.
struct WrittenArray {
  std::string path;  // "train/samples"
  tensor::Shape shape;
  std::string type;  // "uint8"
};

// Writes SPLIT/samples and SPLIT/labels, or of text SPLIT/tokens and SPLIT/targets, SPLIT/clusters where there
// are some, and SPLIT/ids: as they are seen of each sample, as they are stored where the data have some.
// `header` is written beside them. A stored file also says how many classes there are, and the names of
// columns. Whole or not at all, in pieces: memory does not grow with the data. Local. Throws DataError.
// Contract: stored samples are of tables (options.hpp: has_tables).
std::vector<WrittenArray> write_samples(const std::filesystem::path& file, const Dataset& dataset,
                                        SampleForm form, checkpoint::Header header = {});

}  // namespace switchyard::data
